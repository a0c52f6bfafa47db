"""Paths of YOLO's layout: films by split, and the label file of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from datasets.gather.layouts.pictures import pictures
from model.data.annotation_file import is_clutter, split_of

_LABELS, _IMAGES = "labels", "images"


def films_of(source: Path, base: Path, folders: dict[str, list[str]]) -> Iterator[tuple[str, Path]]:
    """Every film once, with its split.

    Args:
        source: the data set's folder, whose films all count where the configuration leads to none.
        base: the configuration's folder.
        folders: its paths of folders, of films, and of lists of films, by split.
    """
    seen: set[Path] = set()
    for split, paths in folders.items():
        for path in paths:
            for film in _films_at(base, path):
                if film not in seen:
                    seen.add(film)
                    yield split, film
    if seen:
        return
    for film in pictures(source):
        below = PurePosixPath(film.relative_to(source).as_posix())
        if _IMAGES in below.parts or labels_of(film).is_file():
            yield split_of(below.with_name("_")), film


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
    return Path(*parts).with_suffix(".txt")


def label_files(source: Path, classes: Path) -> Iterator[Path]:
    """The texts in folders of labels below a data set's folder, but for the list of classes."""
    for path in source.rglob("*.txt"):
        below = path.relative_to(source)
        if (
            _LABELS in below.parts[:-1]
            and path != classes
            and not any(map(is_clutter, below.parts))
        ):
            yield path


def lines_of(path: Path) -> list[str]:
    """The lines of a text that are not empty; none of a file that is not there."""
    if not path.is_file():
        return []
    text = path.read_text("utf-8-sig", errors="replace")
    return [line for line in text.splitlines() if line.strip()]
