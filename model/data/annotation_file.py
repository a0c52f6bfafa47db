"""The annotation file of a COCO data set, or its files by split, where tools export them."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

ANNOTATIONS = "annotations"  # the folder beside those of the films
# Where exports have their JSON, nearest first: CVAT and mmdetection in `annotations/`, Roboflow
# beside the images of each split, an archive perhaps in a folder of its own.
_ANNOTATION_FILES = ("*", "annotations/*", "*/*", "*/annotations/*", "*/*/*", "*/*/annotations/*")
# What COCO has beside `instances_*.json` for the same images.
_OF_OTHER_TASKS = ("captions_", "person_keypoints_", "image_info_", "panoptic_", "stuff_")
_SPLITS = {"train": "train(ing)?", "val": "val(id|idation)?", "test": "test(ing)?"}
SPLITS = ("", *_SPLITS)  # in the order in which films are taken from them
_NAMED = 5  # files in a sentence


def find_annotation_file(data: Path) -> tuple[Path, Path]:
    """The annotation file of a data set, and the folder that has its films.

    Args:
        data: the folder, or one of several annotation files of a folder. The films of a file in
            `annotations/` are looked for beside that folder too.

    Raises:
        ValueError: unless there is exactly one in the place nearest to the folder that has any.
            Other JSON files are passed over.
    """
    files, folder = find_annotation_files(data)
    if len(files) > 1:
        found = [path.relative_to(data) for path in files]
        raise ValueError(
            f"{data} holds {len(found)} JSON files, {listed(found)}: "
            "give the path of one in place of the folder's"
        )
    return files[0], folder


def find_annotation_files(data: Path) -> tuple[list[Path], Path]:
    """All annotation files in the nearest place that has any, and the folder that has their films.

    Args:
        data: as `find_annotation_file` takes it.

    Raises:
        ValueError: if there is none. Other JSON files are passed over.
    """
    if data.is_file():
        return [data], _film_folder(data.parent)
    if not data.is_dir():
        raise ValueError(f"{data} is neither a folder nor a file")
    others: dict[Path, None] = {}
    for pattern in _ANNOTATION_FILES:
        files = _json_files(data, pattern)
        found = [path for path in files if _has_annotations(data / path)]
        if len(found) > 1:
            found = [path for path in found if not path.name.startswith(_OF_OTHER_TASKS)] or found
        if found:
            return [data / path for path in found], _film_folder(data)
        others |= dict.fromkeys(files)
    if not others:
        raise ValueError(f"{data} holds no JSON file of annotations")
    if len(others) > 1:
        raise ValueError(
            f"{data}: none of the {len(others)} JSON files, {listed(list(others))}, "
            "has 'images' and 'annotations'"
        )
    return [data / next(iter(others))], _film_folder(data)


def hidden_annotation_files(data: Path, found: list[Path]) -> list[Path]:
    """Annotation files that `find_annotation_files` passes over, since others are nearer.

    Args:
        data: the folder.
        found: the nearest ones.

    Returns:
        Paths below the folder.
    """
    places = {path.relative_to(data).parent for path in found}
    deeper = {path for pattern in _ANNOTATION_FILES for path in _json_files(data, pattern)}
    return [
        path
        for path in sorted(deeper)
        if path.parent not in places and _has_annotations(data / path)
    ]


def split_of(path: PurePath) -> str:
    """Which split a path below a data set's folder is of: train, val, test, or "" for none.

    The nearest folder that is called so counts, then a word of the file's name, in any of the
    spellings that tools have, such as `valid/`, `Validation/` or `instances_train2017.json`.
    """
    words = [*reversed(path.parts[:-1]), *reversed(re.split(r"[_.-]", path.stem))]
    for word in words:
        for split, spelling in _SPLITS.items():
            if re.fullmatch(rf"{spelling}\d*", word, re.IGNORECASE):
                return split
    return ""


def _json_files(folder: Path, pattern: str) -> list[Path]:
    paths = sorted(path.relative_to(folder) for path in folder.glob(f"{pattern}.[jJ][sS][oO][nN]"))
    return [
        path for path in paths if not any(map(is_clutter, path.parts)) and (folder / path).is_file()
    ]


def _has_annotations(path: Path) -> bool:
    """Whether the words of an annotation file are in a file: to parse it may take a minute."""
    text = path.read_bytes().replace(b"\0", b"")  # UTF-16 and UTF-32 as ASCII
    return b'"images"' in text and b'"annotations"' in text


def _film_folder(folder: Path) -> Path:
    whole = folder.absolute()
    return whole.parent if whole.name == ANNOTATIONS else folder


def is_clutter(name: str) -> bool:
    """What macOS and storage servers add: `._film.png`, `.DS_Store`, `__MACOSX/`, `@eaDir/`."""
    return name.startswith(".") or name in ("__MACOSX", "@eaDir")


def listed(paths: list[Path]) -> str:
    """Some paths for a sentence: the first few, and how many more there are."""
    more = len(paths) - _NAMED
    return ", ".join(map(str, paths[:_NAMED])) + (f" and {more} more" if more > 0 else "")
