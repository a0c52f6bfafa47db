"""Files of a COCO data set: its annotation file, and its films by the names that tools write.

Films are looked for below the data set's folder alone, so that a path of the machine where it was
exported cannot lead to another file of this one.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

_ANNOTATIONS = "annotations"  # the folder beside those of the films
# Where exports have their JSON, nearest first: CVAT and mmdetection in `annotations/`, Roboflow
# beside the images of each split, an archive perhaps in a folder of its own.
_ANNOTATION_FILES = (
    "*.json",
    "annotations/*.json",
    "*/*.json",
    "*/annotations/*.json",
    "*/*/*.json",
)
_NAMED = 5  # files in a sentence


def find_annotation_file(data: Path) -> tuple[Path, Path]:
    """The annotation file of a data set, and the folder that has its films.

    Args:
        data: the folder, or one of several annotation files of a folder. The films of a file in
            `annotations/` are looked for beside that folder too.

    Raises:
        ValueError: unless there is exactly one in the place nearest to the folder.
    """
    if data.is_file():
        return data, _film_folder(data.parent)
    if not data.is_dir():
        raise ValueError(f"{data} is neither a folder nor a file")
    for pattern in _ANNOTATION_FILES:
        found = sorted(path.relative_to(data) for path in data.glob(pattern))
        found = [path for path in found if not any(map(_is_clutter, path.parts))]
        if len(found) > 1:
            raise ValueError(
                f"{data} holds {len(found)} JSON files, {_listed(found)}: "
                "give the path of one in place of the folder's"
            )
        if found:
            return data / found[0], _film_folder(data)
    raise ValueError(f"{data} holds no JSON file of annotations")


class FilmFiles:
    """The films of a data set, found by the names in its annotation file.

    A name is taken as it stands first. Else it is one of another machine, and the file below the
    folder that shares most of the path's end is meant: if there is only one, and no other name
    means it.

    Args:
        folder: that has the films.
        annotation_file: in `annotations/` its name may end with that of its films' folder, as
            `instances_train2017.json` does, whose films are in `train2017/`.
    """

    def __init__(self, folder: Path, annotation_file: Path) -> None:
        places = ["", "images", "data"]
        if annotation_file.absolute().parent.name == _ANNOTATIONS:
            split = annotation_file.stem.rpartition("_")[2]
            places += [split, f"images/{split}"]
        bases = dict.fromkeys((annotation_file.parent, folder))
        self._places = [base / place for base in bases for place in places]
        self._folder = folder
        self._origin = annotation_file.parent
        self._names: dict[Path, str] = {}
        self._by_last_part: defaultdict[str, list[tuple[Path, list[str]]]] | None = None

    def find(self, name: str, *, anywhere: bool = False) -> Path:
        """The film of this name.

        Args:
            name: a path in the words of any system, or a URL.
            anywhere: whether a path that leads out of the folder is followed.

        Raises:
            ValueError: if there is none, or if it is not clear which.
        """
        path = self._as_it_stands(name, anywhere) or self._nearest(name)
        other = self._names.setdefault(path, name)
        if other != name:
            raise ValueError(f"'{name}' and '{other}' would both be the file {self._show(path)}")
        return path

    def _as_it_stands(self, name: str, anywhere: bool) -> Path | None:
        if anywhere and _is_file(self._origin / name):
            return self._origin / name
        leads_out = name.startswith("/") or ".." in PurePosixPath(name).parts
        spellings = [*([] if leads_out else [name]), "/".join(_parts(name))]
        paths = (place / spelling for spelling in spellings for place in self._places)
        return next(filter(_is_file, paths), None)

    def _nearest(self, name: str) -> Path:
        wanted = _parts(name)
        candidates = self._files_called(wanted[-1]) if wanted else []
        if not candidates:
            outside = _is_file(self._origin / name)
            raise ValueError(
                f"'{name}' lies outside of {self._folder}, where its films have to be"
                if outside
                else f"there is no file '{name}'"
            )
        ends = [_shared_end(wanted, parts) for _, parts in candidates]
        found = [path for (path, _), end in zip(candidates, ends, strict=True) if end == max(ends)]
        if len(found) > 1:
            shown = _listed(sorted(map(self._show, found)))
            raise ValueError(f"'{name}' may be any of {len(found)} files, {shown}")
        return found[0]

    def _files_called(self, last_part: str) -> list[tuple[Path, list[str]]]:
        if self._by_last_part is None:
            self._by_last_part = defaultdict(list)
            for path in _walk(self._folder):
                parts = _parts(str(path.absolute()))
                self._by_last_part[parts[-1].casefold()].append((path, parts))
        return self._by_last_part.get(last_part.casefold(), [])

    def _show(self, path: Path) -> Path:
        return path.relative_to(self._folder) if path.is_relative_to(self._folder) else path


def _film_folder(folder: Path) -> Path:
    whole = folder.absolute()
    return whole.parent if whole.name == _ANNOTATIONS else folder


def _parts(name: str) -> list[str]:
    """Folders and file of a path: POSIX, Windows or a URL, as Label Studio's `/data/?d=a%2Fb`."""
    if "://" in name:
        name = re.sub(r"\?(?!d=).*", "", name)
    parts = re.split(r"[/\\]|\?d=", unquote(name))
    return [unicodedata.normalize("NFC", part) for part in parts if part not in ("", ".", "..")]


def _shared_end(one: list[str], other: list[str]) -> tuple[int, int]:
    """How many parts two paths share from the end: in any case of letters, and to the letter."""
    pairs = list(zip(reversed(one), reversed(other), strict=False))
    folded = takewhile(lambda pair: pair[0].casefold() == pair[1].casefold(), pairs)
    same = takewhile(lambda pair: pair[0] == pair[1], pairs)
    return len(list(folded)), len(list(same))


def _walk(folder: Path) -> Iterator[Path]:
    """All files below a folder, each once, along links to folders."""
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = sorted(name for name in folders if not _is_clutter(name) and real not in seen)
        if real not in seen:
            yield from (Path(place, name) for name in files if not _is_clutter(name))
        seen.add(real)


def _is_clutter(name: str) -> bool:
    """What macOS and storage servers add: `._film.png`, `.DS_Store`, `__MACOSX/`, `@eaDir/`."""
    return name.startswith(".") or name in ("__MACOSX", "@eaDir")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for any file
        return False


def _listed(paths: list[Path]) -> str:
    more = len(paths) - _NAMED
    return ", ".join(map(str, paths[:_NAMED])) + (f" and {more} more" if more > 0 else "")
