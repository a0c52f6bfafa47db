"""Whose turn it is on a device: a few runs at once, or something that needs it for itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue


class Turns:
    """Turns for threads, first come, first served.

    They are tokens in a queue of the interpreter's own. With a `threading.Semaphore` a thread that
    waits has to be given the interpreter before it has its turn, and who comes later overtakes it.

    Args:
        at_once: most turns that are taken at the same time.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._free: SimpleQueue[None] = SimpleQueue()
        for _ in range(at_once):
            self._free.put(None)
        self._lock = threading.Lock()
        self._taken = self._begun = 0
        self._all = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[Callable[[], bool]]:
        """A turn, as soon as one is free; tells who asks whether nobody else has had one since."""
        self._free.get()
        with self._lock:
            alone = self._taken == 0
            self._taken += 1
            self._begun += 1
            mine = self._begun
        try:
            yield lambda: alone and self._begun == mine
        finally:
            with self._lock:
                self._taken -= 1
            self._free.put(None)

    @contextmanager
    def all(self) -> Iterator[None]:
        """All turns, as soon as nobody has one."""
        with self._all:  # two who took half each would wait for each other
            for _ in range(self._at_once):
                self._free.get()
            try:
                yield
            finally:
                for _ in range(self._at_once):
                    self._free.put(None)
