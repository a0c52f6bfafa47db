"""Paths of YOLO's layout: films by split, and the label file of each."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from datasets.gather.layouts.pictures import pictures
from model.data.annotation_file import split_of
from model.data.coco_files import walk

_LABELS, _IMAGES = "labels", "images"


def films_of(source: Path, base: Path, folders: dict[str, list[str]]) -> Iterator[tuple[str, Path]]:
    """Every film once, with its split.

    Args:
        source: the data set's folder, whose films all count where the configuration leads to none,
            and those of a split to which it leads nowhere.
        base: the configuration's folder.
        folders: its paths of folders, of films, and of lists of films, by split.
    """
    seen: set[Path] = set()
    astray: set[str] = set()
    for split, paths in folders.items():
        for path in paths:
            found = list(_films_at(base, path))
            astray |= set() if found else {split}
            for film in found:
                if film not in seen:
                    seen.add(film)
                    yield split, film
    everything = not seen
    for film in pictures(source) if everything or astray else ():
        below = PurePosixPath(film.relative_to(source).as_posix())
        split = split_of(below.with_name("_"))
        is_meant = everything or (split in astray and film not in seen)
        if is_meant and (_IMAGES in below.parts or labels_of(film).is_file()):
            yield split, film


def _films_at(base: Path, name: str) -> Iterator[Path]:
    place = _place(base, name)
    if place is None:
        return
    if place.is_dir():
        yield from pictures(place)
    elif place.suffix == ".txt":
        for line in lines_of(place):
            film = _place(place.parent, line) or _place(base, line)
            if film is not None and film.is_file():
                yield film
    elif place.is_file():
        yield place


def _place(base: Path, name: str) -> Path | None:
    """What a path means below a folder: the longest end of it that is there.

    Configurations have paths of the machine that wrote them, and Roboflow's begin with `..`.
    """
    parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in "/."]
    if ".." in parts:
        parts = parts[len(parts) - parts[::-1].index("..") :]
    for start in range(len(parts)):
        place = base.joinpath(*parts[start:])
        try:
            if place.exists():
                return place
        except (OSError, ValueError):  # a name that no folder takes
            continue
    return None


def labels_of(film: Path) -> Path:
    """The label file of a film: in `labels` in place of the last `images` of its path."""
    parts = list(film.parts)
    if _IMAGES in parts[:-1]:
        last = len(parts) - 2 - parts[-2::-1].index(_IMAGES)
        parts[last] = _LABELS
    path = Path(*parts).with_suffix(".txt")
    spellings = (unicodedata.normalize(form, path.name) for form in ("NFC", "NFD"))
    return next((file for name in spellings if (file := path.with_name(name)).is_file()), path)


def label_files(source: Path, classes: Path) -> Iterator[Path]:
    """The texts in folders of labels below a data set's folder, but for the list of classes."""
    for path in walk(source):
        folders = path.relative_to(source).parts[:-1]
        if path.suffix == ".txt" and _LABELS in folders and path != classes:
            yield path


def lines_of(path: Path) -> list[str]:
    """The lines of a text that are not empty; none of a file that is not there."""
    if not path.is_file():
        return []
    text = path.read_text("utf-8-sig", errors="replace")
    return [line for line in text.splitlines() if line.strip()]
