"""Journal: what has been segmented, a JSON line each, so that a run goes on where one stopped.

A line is added when all that belongs to its frame is written. A process that is killed leaves at
most one torn line, the last, which the next run cuts off. The journal lies beside the document,
which is written from it line by line: an archive need not fit in memory.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any, Final, Self

from solo.formats.coco import CocoEntry

JOURNAL_NAME: Final = "journal.jsonl"  # not .json: a data set has one of those alone

_BEGIN: Final = b'{"journal"'
_OTHER: Final = {"model": "another model", "options": "other options"}


class JournalError(Exception):
    """The journal is of something else; the message is one sentence for who started the run."""


Stamp = list[int]
"""Bytes and nanoseconds: by these a file that was replaced is told from the one segmented."""


def stamp_of(facts: os.stat_result) -> Stamp:
    """The stamp in what `os.stat` says."""
    return [facts.st_size, facts.st_mtime_ns]


class Journal:
    """A journal that is open for one run.

    Args:
        path: of the file, which is made where there is none.
        head: what all frames of a journal share: `model` and `options`, of what JSON has.

    Raises:
        JournalError: if the journal has another head, or another run has it open.
        OSError: if it cannot be read or written.
    """

    def __init__(self, path: Path, head: dict[str, Any]) -> None:
        self._path = path
        self._file = path.open("a+b")
        self._offsets: dict[tuple[str, int], int] = {}
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._read(json.loads(json.dumps(head)))  # as it is read back
        except BaseException as error:
            self._file.close()
            if isinstance(error, BlockingIOError):
                raise JournalError(f"another run writes to {path.parent}") from None
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def find(self, name: str, frame: int, stamp: Stamp | None) -> CocoEntry | None:
        """The entry of this frame's image, if the film as it is now was segmented."""
        if (name, frame) not in self._offsets:
            return None
        line = self._line(name, frame)
        image: CocoEntry = line["image"]
        return image if line["stamp"] == stamp else None

    def frames(self, name: str) -> int:
        """How many frames the film has; 1 where none of them was segmented."""
        return int(self.read(name, 0)[0]["frames"]) if (name, 0) in self._offsets else 1

    def add(self, stamp: Stamp, image: CocoEntry, annotations: list[CocoEntry]) -> None:
        """Notes a frame.

        Args:
            stamp: of the film when it was opened.
            image: its entry; names film and frame. The ids are not used.
            annotations: its entries.
        """
        offset = self._append({"stamp": stamp, "image": image, "annotations": annotations})
        self._offsets[image["file_name"], image["frame"]] = offset

    def current(self) -> list[tuple[str, int]]:
        """Name and frame of all that is still what it was when it was segmented, sorted."""
        folder = self._path.parent
        return sorted(key for key in self._offsets if self.find(*key, _stamp(folder / key[0])))

    def read(self, name: str, frame: int) -> tuple[CocoEntry, list[CocoEntry]]:
        """Image and annotations of a frame."""
        line = self._line(name, frame)
        return line["image"], line["annotations"]

    def _line(self, name: str, frame: int) -> dict[str, Any]:
        self._file.seek(self._offsets[name, frame])
        line: dict[str, Any] = json.loads(self._file.readline())
        return line

    def _read(self, head: dict[str, Any]) -> None:
        self._file.seek(0)
        first = self._file.readline()
        if not first.endswith(b"\n") and first[: len(_BEGIN)] == _BEGIN[: len(first)]:
            self._file.truncate(0)
            self._append({"journal": 1, **head})
            return
        self._check_head(_parsed(first), head)
        offset = self._file.tell()
        for line in self._file:
            if not line.endswith(b"\n"):
                self._file.truncate(offset)
                break
            found = _parsed(line)
            # Version 0.2.0 wrote no uncertainty: such films are segmented again, so that the
            # annotations of a document are all of one kind.
            if found and all("outline_uncertainty" in one for one in found["annotations"]):
                self._offsets[found["image"]["file_name"], found["image"]["frame"]] = offset
            offset += len(line)

    def _check_head(self, found: dict[str, Any] | None, head: dict[str, Any]) -> None:
        if found is None or found.get("journal") != 1:
            raise JournalError(f"{self._path} is no journal of this command: choose another --out")
        for what, now in head.items():
            there = found.get(what) or {}
            others = [name for name in now if there.get(name) != now[name]]
            if others:
                told = (f"{n} {_word(there.get(n))} there, {_word(now[n])} now" for n in others)
                raise JournalError(
                    f"{self._path.parent} has results of {_OTHER[what]}: choose another --out "
                    f"({'; '.join(told)})"
                )

    def _append(self, line: dict[str, Any]) -> int:
        """Adds a line, in one write; returns where it begins."""
        offset = self._file.seek(0, os.SEEK_END)
        self._file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")
        self._file.flush()
        return offset


def _word(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return "the model's" if value is None else str(value)


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:  # a disk's fault: the film is segmented again
        return None
    return found if isinstance(found, dict) else None


def _stamp(path: Path) -> Stamp | None:
    try:
        return stamp_of(path.stat())
    except OSError:
        return None
