"""Output of the log: a thread that writes, so that nobody who reads holds up the service."""

from __future__ import annotations

import os
from collections.abc import Callable
from queue import SimpleQueue
from select import select
from threading import Thread
from typing import Final

MOST_PENDING_BYTES: Final = 2**20
_LAST_SECONDS: Final = 0.8


class LogOutput:
    """Takes lines and writes them when they are taken; what is too much is lost, and counted.

    A pipe that nobody reads and a terminal that was stopped make a write wait for ever. To ask for
    a write that does not wait, one would have to change a terminal that other programs share.

    Args:
        descriptor: an open file, pipe, socket or terminal.
        lost_line: the line that says how many were lost, written when the output flows again.
    """

    def __init__(self, descriptor: int, lost_line: Callable[[int], str]) -> None:
        self._descriptor, self._lost_line = descriptor, lost_line
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        # Each of these is changed by one thread alone: the first two by whoever holds `put`'s lock.
        self._taken_bytes = self._refused_lines = 0
        self._done_bytes = self._failed_lines = self._told_lines = 0
        self._cut = b""
        self._thread = Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    @property
    def lost_lines(self) -> int:
        """How many lines were lost so far."""
        return self._refused_lines + self._failed_lines

    def put(self, lines: bytes) -> None:
        """Takes whole lines, or loses them; the caller sees to it that no other does so at once."""
        pending = self._taken_bytes - self._done_bytes
        if pending and pending + len(lines) > MOST_PENDING_BYTES:
            self._refused_lines += lines.count(b"\n")
        else:
            self._taken_bytes += len(lines)
            self._waiting.put(lines)

    def close(self) -> None:
        """Writes what is pending if that is done within a moment."""
        self._waiting.put(None)
        self._thread.join(_LAST_SECONDS)

    def _run(self) -> None:
        while (lines := self._waiting.get()) is not None:
            self._failed_lines += self._write(lines)
            self._done_bytes += len(lines)
            lost = self.lost_lines - self._told_lines
            if lost and not self._write(self._lost_line(lost).encode()):
                self._told_lines += lost

    def _write(self, lines: bytes) -> int:
        """Writes lines; how many were not, since the disk is full or nobody reads any more."""
        rest = memoryview(self._cut + lines)
        try:
            while rest:
                try:
                    written = os.write(self._descriptor, rest)
                except BlockingIOError:  # whoever shares it has asked for that
                    select([], [self._descriptor], [])
                else:
                    self._cut = b"" if rest[written - 1] == ord("\n") else b"\n"
                    rest = rest[written:]
        except OSError:
            return bytes(rest).count(b"\n")
        return 0
