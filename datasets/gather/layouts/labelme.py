"""labelme's layout: a JSON file a film, which may have the film within it."""

from __future__ import annotations

import base64
import binascii
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from datasets.gather.layouts.export import Export
from datasets.gather.layouts.labelme_shapes import Shape, outline_of, unite
from datasets.gather.layouts.pictures import Size, film_size, pictures
from datasets.gather.layouts.translation import Translation
from model.data.annotation_file import split_of
from model.data.coco_files import FilmFiles, walk
from model.data.coco_values import image_size, is_text
from model.data.orientation import TURNED_BY_VIEWERS, orientation
from solo.decoding.decode import sniff


def recognise_labelme(source: Path) -> str:
    """Names the first of labelme's files; "" where there is none."""
    first = next(_files(source), None)
    return f"labelme ({first.name})" if first else ""


def read_labelme(source: Path, scratch: Path) -> Iterator[Export]:
    """Reads labelme's files, a document for each split.

    Args:
        source: their folder.
        scratch: a folder for films that only the JSON files have.

    Raises:
        DatasetError: if no film can be read.
    """
    translation = Translation(source)
    films = FilmFiles(source, source / "_")
    annotated: set[Path] = set()
    for file in _files(source):
        name = translation.name(file)
        try:
            document = json.loads(file.read_bytes())
            shapes = document["shapes"]
            objects = [shape if isinstance(shape, dict) else {} for shape in shapes]
        except (ValueError, RecursionError, KeyError, TypeError):
            translation.drop(f"'{name}' is no JSON file of labelme", films=1)
            continue
        split = split_of(PurePosixPath(name).with_name("_"))
        try:
            path, film_name = _film(document, file, source, films, scratch)
            annotated.add(path)
            content = path.read_bytes()
            if orientation(content) != 1:
                raise ValueError(f"the film has {TURNED_BY_VIEWERS}")
            size = image_size(document.get("imageHeight"), document.get("imageWidth"))
            size = size or film_size(content)
        except ValueError as error:
            translation.drop(f"'{name}': {error}", films=1, instances=len(objects), split=split)
            continue
        film = translation.add_film(path, size, split, film_name)
        _add_objects(translation, film, objects, size, name, split)
    for path in pictures(source):
        if path not in annotated:
            split = split_of(path.relative_to(source).with_name("_"))
            sentence = f"'{translation.name(path)}' has no JSON file: labelme saves one, without "
            translation.drop(f"{sentence}shapes, for a film without objects", films=1, split=split)
    yield from translation.exports()


def _files(source: Path) -> Iterator[Path]:
    if source.is_dir():
        for path in sorted(walk(source)):
            if path.suffix.lower() == ".json" and path.is_file():
                text = path.read_bytes().replace(b"\0", b"")  # UTF-16 as ASCII
                if b'"shapes"' in text and b'"imagePath"' in text:
                    yield path


def _film(
    document: Shape, file: Path, source: Path, films: FilmFiles, scratch: Path
) -> tuple[Path, str]:
    """The film of a file, and what it is called: itself, or the copy within the JSON file."""
    given = document.get("imagePath")
    name = given.replace("\\", "/") if is_text(given) else ""
    data = document.get("imageData")
    below = file.parent.relative_to(source)
    try:
        is_rooted = name.startswith("/") or name[1:2] == ":"
        path = films.find(name if is_rooted else (below / name).as_posix())
        return path, path.relative_to(source).as_posix()
    except ValueError:
        if not is_text(data):
            raise
    try:
        content = base64.b64decode(data.rpartition(",")[2], validate=True)
    except binascii.Error:
        raise ValueError("its 'imageData' is no base64") from None
    kind = sniff(content)
    if kind is None:
        raise ValueError("its 'imageData' is none of DICOM, PNG, JPEG and TIFF")
    path = scratch / below / f"{file.stem}.{kind}"
    if path.exists():  # of a file whose name ends in other letters
        path = scratch / below / f"{file.name}.{kind}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path, (below / path.name).as_posix()


def _add_objects(
    translation: Translation, film: int, shapes: list[Shape], size: Size, name: str, split: str
) -> None:
    """Adds the shapes of a film; those of one label and `group_id` are one object."""
    groups: defaultdict[tuple[str, object], list[object]] = defaultdict(list)
    for number, shape in enumerate(shapes):
        try:
            label = shape.get("label")
            if not is_text(label):
                raise ValueError("it has no label")
            group = shape.get("group_id")
            key = number if group is None else f"group {group}"
            outline = outline_of(shape, size)
            groups[label, key].append(outline)
        except ValueError as error:
            sentence = f"a shape of '{name}': {error}"
            translation.drop(sentence, instances=1, split=split)
    joined = sum(len(parts) - 1 for parts in groups.values())
    if joined:
        translation.notes["Shapes of one label and 'group_id' are one object."] = None
    for (label, _), parts in groups.items():
        translation.add_object(film, label, unite(parts, size))
