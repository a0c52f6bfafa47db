"""Films of a COCO data set, found by the names that annotation tools write.

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
from pathlib import Path
from urllib.parse import unquote

from model.data.annotation_file import ANNOTATIONS, is_clutter, listed

# Folders that tell nothing of their films, so that a path may have them where another has not.
FILM_FOLDERS = (
    "images",
    "image",
    "imgs",
    "img",
    "films",
    "data",
    "default",
    "jpegimages",
    "imagestr",
)
# Folders that hold pictures of the films' names which are no films.
_OTHER_FOLDERS = (
    *(ANNOTATIONS, "labels", "labelstr", "labelsts", "label-maps", "mask", "masks", "overlays"),
    *("thumbnails", "visualization", "visualizations", "segmentationclass", "segmentationobject"),
)


class FilmFiles:
    """The films of a data set, found by the names in its annotation file.

    A name is taken as it stands first, in a folder of films. Else the file meant is the one below
    the data set's folder whose path shares most of the name's end. What the two do not share may
    be folders such as `images` alone, which tell nothing; a name that begins at the root of another
    machine, or leads out of the folder, may begin with any folders. So the film of another patient,
    or a mask or thumbnail of the film's name, is never taken for it. No two names mean one file.

    Args:
        folder: that has the films.
        annotation_file: in `annotations/` its name may end with that of its films' folder, as
            `instances_train2017.json` does, whose films are in `train2017/`.
    """

    def __init__(self, folder: Path, annotation_file: Path) -> None:
        places, known = ["", "images", "data"], [*FILM_FOLDERS]
        origin = annotation_file.parent
        if origin.absolute().name == ANNOTATIONS:
            split = annotation_file.stem.rpartition("_")[2]
            places[1:1] = [split, f"images/{split}"]
            known.append(split)
        if origin.is_relative_to(folder):
            known += origin.relative_to(folder).parts
        self._film_folders = {name.casefold() for name in known}
        bases = dict.fromkeys((origin, folder))
        self._places = [base / place for base in bases for place in places]
        self._folder = folder
        self._origin = origin
        self._names: dict[Path, str] = {}
        self._by_last_part: defaultdict[str, dict[Path, list[str]]] | None = None

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
        parts, is_rooted = _parse(name)
        spellings = [*([] if is_rooted or ".." in name else [name]), "/".join(parts)]
        paths = (place / spelling for spelling in spellings for place in self._places)
        return next((p for p in paths if _is_file(p) and not _is_stray(p, parts)), None)

    def _nearest(self, name: str) -> Path:
        wanted, is_rooted = _parse(name)
        candidates = self._files_called(wanted[-1]) if wanted else {}
        if not candidates:
            outside = _is_file(self._origin / name)
            raise ValueError(
                f"'{name}' lies outside of {self._folder}, where its films have to be"
                if outside
                else f"there is no file '{name}'"
            )
        ends = {path: _shared_end(wanted, parts) for path, parts in candidates.items()}
        shared = max(end for end, _ in ends.values())
        nearest = [path for path in candidates if ends[path][0] == shared]
        rest = [] if is_rooted else wanted[:-shared]
        found = [path for path in nearest if self._is_meant(path, shared, rest, wanted)]
        if not found:
            in_top = any(path.parent == self._folder for path in nearest)
            top = self._folder.parent if in_top else self._folder
            shown = listed(sorted(path.relative_to(top) for path in nearest))
            are = "is" if len(nearest) == 1 else "are"
            raise ValueError(f"there is no file '{name}'; {shown} {are} in other folders")
        found = [path for path in found if ends[path] == max(ends[one] for one in found)]
        if len(found) > 1:
            shown = listed(sorted(map(self._show, found)))
            raise ValueError(f"'{name}' may be any of {len(found)} files, {shown}")
        return found[0]

    def _is_meant(self, path: Path, shared: int, rest: list[str], wanted: list[str]) -> bool:
        below = _absolute(path)[len(_absolute(self._folder)) :]
        unshared = {folder.casefold() for folder in (*below[:-shared], *rest)}
        return unshared <= self._film_folders and not _is_stray(path, wanted)

    def _files_called(self, last_part: str) -> dict[Path, list[str]]:
        if self._by_last_part is None:
            self._by_last_part = defaultdict(dict)
            for path in walk(self._folder):
                parts = _absolute(path)
                self._by_last_part[parts[-1].casefold()][path] = parts
        return self._by_last_part.get(last_part.casefold(), {})

    def _show(self, path: Path) -> Path:
        return path.relative_to(self._folder) if path.is_relative_to(self._folder) else path


def _parse(name: str) -> tuple[list[str], bool]:
    """Folders and file of a path, and whether it begins at a root or leads out of its folder.

    The path is POSIX, Windows or a URL, as Label Studio's `/data/?d=a%2Fb`.
    """
    if "://" in name:
        name = re.sub(r"\?(?!d=).*", "", name)
    parts: list[str] = []
    is_rooted = bool(re.match(r"[/\\]|[a-z]:|[a-z][a-z0-9+.-]*://|.*\?d=", name, re.IGNORECASE))
    for part in re.split(r"[/\\]|\?d=", unquote(name)):
        if part == ".." and parts:
            # Label Studio's, on Windows: `images/..\\upload\\1\\a.png`, which is in `images`.
            is_rooted |= parts.pop().casefold() in FILM_FOLDERS
        elif part == "..":
            is_rooted = True
        elif part not in ("", "."):
            parts.append(unicodedata.normalize("NFC", part))
    return parts, is_rooted


def _absolute(path: Path) -> list[str]:
    return _parse(str(path.absolute()))[0]


def _is_stray(path: Path, wanted: list[str]) -> bool:
    """Whether a file is among label maps, thumbnails and such, where its name does not say so."""
    folder = _absolute(path)[-2:-1]
    return " ".join(folder).casefold() in _OTHER_FOLDERS and wanted[-2:-1] != folder


def _shared_end(one: list[str], other: list[str]) -> tuple[int, int]:
    """How many parts two paths share from the end: in any case of letters, and to the letter."""
    pairs = list(zip(reversed(one), reversed(other), strict=False))
    folded = takewhile(lambda pair: pair[0].casefold() == pair[1].casefold(), pairs)
    same = takewhile(lambda pair: pair[0] == pair[1], pairs)
    return len(list(folded)), len(list(same))


def walk(folder: Path) -> Iterator[Path]:
    """All files below a folder that are no clutter, each once, along links to folders."""
    seen = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        folders[:] = sorted(name for name in folders if not is_clutter(name) and real not in seen)
        if real not in seen:
            yield from (Path(place, name) for name in files if not is_clutter(name))
        seen.add(real)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for any file
        return False
