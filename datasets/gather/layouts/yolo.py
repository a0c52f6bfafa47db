"""YOLO's segmentation layout: `images/`, `labels/` with a text file a film, and `data.yaml`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from datasets.gather.layouts.export import Export
from datasets.gather.layouts.pictures import Size, film_size
from datasets.gather.layouts.translation import Translation
from datasets.gather.layouts.yolo_paths import films_of, label_files, labels_of, lines_of
from model.data.annotation_file import is_clutter, listed
from model.data.coco import DatasetError
from model.data.orientation import TURNED_BY_VIEWERS, orientation

_CONFIGURATIONS = ("*.y*ml", "*/*.y*ml", "*/*/*.y*ml")
_LISTS = ("classes.txt", "obj.names", "*/classes.txt", "*/obj.names")  # names alone, a line each
_MOST_BYTES = 1 << 20  # of a configuration
_SPLITS = (
    ("train", "train"),
    *((key, "val") for key in ("val", "valid", "validation")),  # the last is FiftyOne's
    ("test", "test"),
)
_MOST = 1.5  # parts of a film's size; farther out are pixels


def recognise_yolo(source: Path) -> str:
    """Names the file with the classes of a YOLO data set; "" where there is none."""
    files = _class_files(source)
    return f"YOLO ({listed([file.relative_to(source) for file in files])})" if files else ""


def read_yolo(source: Path) -> Iterator[Export]:
    """Reads a data set, a document for each split.

    A film without a label file, or with an empty one, shows no object. Lines of boxes are dropped.

    Args:
        source: the folder, or its YAML file.

    Raises:
        DatasetError: if it is not clear what the classes are, or no film can be read.
    """
    files = [source] if source.is_file() else _class_files(source)
    source = source.parent if source.is_file() else source
    if len(files) > 1:
        shown = listed([file.relative_to(source) for file in files])
        raise DatasetError(
            f"{source} holds {len(files)} files of YOLO classes, {shown}: give the path of one"
        )
    names, folders = _read_classes(files[0])
    translation = Translation(source, names)
    unread = set(label_files(source, files[0]))
    for split, path in films_of(source, files[0].parent, folders):
        labels = labels_of(path)
        unread.discard(labels)
        lines = lines_of(labels)
        try:
            content = path.read_bytes()
            size = film_size(content)
            if orientation(content) != 1:
                raise ValueError(f"it has {TURNED_BY_VIEWERS}")
        except ValueError as error:
            sentence = f"'{translation.name(path)}': {error}"
            translation.drop(sentence, films=1, instances=len(lines), split=split)
            continue
        film = translation.add_film(path, size, split)
        for line in lines:
            try:
                label, ring = _read_line(line, size)
                if not 0 <= label < len(names):
                    raise ValueError(f"it is of class {label}, which has no name")
                translation.add_object(film, names[label], [ring])
            except ValueError as error:
                sentence = f"a line of '{translation.name(labels)}': {error}"
                translation.drop(sentence, instances=1, split=split)
    if not translation:
        raise DatasetError(
            *translation.sentences(),
            f"no film of {files[0].name} can be read: it has to lie beside or above the folders "
            "'images' and 'labels'",
        )
    for labels in sorted(unread):
        sentence = f"'{translation.name(labels)}' has no film beside it, nor in 'images'"
        translation.drop(sentence, films=1, instances=len(lines_of(labels)))
    yield from translation.exports()


def _class_files(source: Path) -> list[Path]:
    if not source.is_dir():
        return []
    for patterns in (_CONFIGURATIONS, _LISTS):
        for pattern in patterns:
            found = [
                path
                for path in sorted(source.glob(pattern))
                if path.is_file()
                and not any(map(is_clutter, path.relative_to(source).parts))
                and (patterns is _LISTS or "names" in _configuration(path))
            ]
            if found and (patterns is _CONFIGURATIONS or any(label_files(source, found[0]))):
                return found
    return []


def _configuration(path: Path) -> dict[str, object]:
    """The content of a YAML file whose scalars all stay texts: a class may be called `no`."""
    if path.stat().st_size > _MOST_BYTES:
        return {}
    try:
        content = yaml.load(path.read_bytes(), Loader=yaml.BaseLoader)  # noqa: S506  # makes texts
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _read_classes(file: Path) -> tuple[list[str], dict[str, list[str]]]:
    """Names in the order of their numbers, and the paths that the configuration has by split."""
    if file.suffix not in (".yaml", ".yml"):
        try:
            lines = file.read_text("utf-8-sig").splitlines()
        except UnicodeError:
            raise DatasetError(f"{file.name} is no text in UTF-8") from None
        return [line.strip() for line in lines if line.strip()], {}
    content = _configuration(file)
    if "kpt_shape" in content:
        raise DatasetError(f"{file.name} is of key points, which have no outlines")
    names = content.get("names")
    if isinstance(names, dict):
        wanted = [str(number) for number in range(len(names))]
        if sorted(map(str, names)) != sorted(wanted):
            raise DatasetError(f"the 'names' in {file.name} are not numbered from 0 on")
        names = [names[number] for number in wanted]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DatasetError(f"the 'names' in {file.name} are no list of names")
    if len(set(names)) < len(names):
        raise DatasetError(f"the 'names' in {file.name} have one name twice")
    folders: dict[str, list[str]] = {}
    for key, split in _SPLITS:
        paths = content.get(key) or []
        given = paths if isinstance(paths, list) else [paths]
        folders.setdefault(split, []).extend(path for path in given if isinstance(path, str))
    return names, folders


def _read_line(line: str, size: Size) -> tuple[int, list[float]]:
    """Class and polygon, in pixels, of one object."""
    words = line.split()
    if len(words) == 5:
        raise ValueError("it is a box, without an outline")
    if len(words) < 7 or not len(words) % 2:
        raise ValueError(
            f"it needs a class and three or more x, y pairs, it has {len(words)} words"
        )
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise ValueError("it holds something other than numbers") from None
    if not all(abs(value) < 1e9 for value in values) or not values[0].is_integer():
        raise ValueError("it holds a number that is not finite, or a class that is none")
    if max(map(abs, values[1:])) > _MOST:
        raise ValueError("its coordinates are no parts of the film's width and height, 0 to 1")
    scaled = [value * size[1 - index % 2] for index, value in enumerate(values[1:])]
    return int(values[0]), scaled
