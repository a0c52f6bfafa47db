"""Films of an archive: what of the files and folders on a command line is to be segmented.

Files that are named are films, whatever they are called. In a folder are films what begins or is
called like one and is not hidden. A folder with a journal of ours holds results, not films.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from solo.command.journal import JOURNAL_NAME
from solo.decoding.decode import sniff

_HEAD_BYTES: Final = 132  # the preamble of a DICOM file and its prefix
# A film whose first bytes are lost is a film that its owner wants to hear of.
_ENDINGS: Final = {".dcm", ".dicom", ".png", ".jpg", ".jpeg", ".tif", ".tiff"}
_DIRECTORY: Final = "DICOMDIR"  # the table of contents of a medium (PS3.10 8.6)


@dataclass(frozen=True, slots=True)
class Film:
    """A file to be segmented.

    Attributes:
        path: to read it.
        name: of it in the document: relative to the folder of the document, which finds it again
            when both are moved together, and tells films of one name apart.
    """

    path: Path
    name: str


@dataclass
class Found:
    """What there is.

    Attributes:
        films: in a stable order, none twice.
        passed_over: how many files in folders are no films.
        results: folders that hold results of this command, and are not walked.
        faults: folders that cannot be listed, with the reason.
    """

    films: list[Film] = field(default_factory=list)
    passed_over: int = 0
    results: list[Path] = field(default_factory=list)
    faults: list[tuple[Path, str]] = field(default_factory=list)


def find_films(sources: Iterable[Path], out: Path) -> Found:
    """Walks folders, files first; links are followed, and no folder is walked twice.

    Args:
        sources: files and folders.
        out: folder of the document, which is not walked.
    """
    found, real_out = Found(), os.path.realpath(out)
    seen, known = {real_out}, set[str]()
    for source in sources:
        for path in _walk(source, found, seen) if os.path.isdir(source) else [source]:
            name = _name(path, real_out)
            if name not in known:
                known.add(name)
                found.films.append(Film(path, name))
    return found


def shown(path: Path) -> str:
    """A path for a terminal, which may not be sent control characters by a file's name."""
    text = str(path)
    return text if text.isprintable() else ascii(text)


def _name(path: Path, out: str) -> str:
    """The film's name from a real folder, its own links resolved: `..` leaves the real folder."""
    folder = os.path.relpath(os.path.realpath(path.parent), out)
    return os.path.normpath(os.path.join(folder, path.name))


def _walk(root: Path, found: Found, seen: set[str]) -> Iterator[Path]:
    def note(error: OSError) -> None:
        found.faults.append((Path(error.filename), error.strerror or type(error).__name__))

    for name, folders, files in os.walk(root, onerror=note, followlinks=True):
        folder = Path(name)
        real = os.path.realpath(folder)
        if real not in seen and JOURNAL_NAME in files:
            found.results.append(folder)
        if real in seen or JOURNAL_NAME in files:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for path in (folder / each for each in sorted(files)):
            if path.name.startswith(".") or not _is_film(path):
                found.passed_over += 1
            else:
                yield path


def _is_film(path: Path) -> bool:
    try:
        if path.name == _DIRECTORY or not stat.S_ISREG(path.stat().st_mode):
            return False
        if path.suffix.lower() in _ENDINGS:
            return True
        with path.open("rb") as file:
            return sniff(file.read(_HEAD_BYTES)) is not None
    except OSError as error:  # a link to nothing, or what will be refused with the reason
        return error.errno not in (errno.ENOENT, errno.ELOOP)
