"""Fair semaphore: a few runs of a device at once, or something that needs it for itself."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class FairSemaphore:
    """A FIFO semaphore for threads, with an exclusive mode.

    A thread that leaves hands its turn over. A `threading.Semaphore` or a queue only says that
    there is one, and whoever is given the interpreter first takes it: a waiting batch is overtaken
    by the next.

    Args:
        at_once: most turns that are taken at the same time.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = self._free = at_once
        self._waiting: deque[threading.Lock] = deque()
        self._lock = threading.Lock()
        self._begun = 0
        self._all = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[Callable[[], bool]]:
        """A turn, as soon as one is free; tells who asks whether nobody else has had one since."""
        self._take()
        with self._lock:
            self._begun += 1
            mine, alone = self._begun, self._free == self._at_once - 1
        try:
            yield lambda: alone and self._begun == mine
        finally:
            self._give()

    @contextmanager
    def all(self) -> Iterator[None]:
        """All turns, as soon as nobody has one."""
        with self._all:  # two who took half each would wait for each other
            for _ in range(self._at_once):
                self._take()
            try:
                yield
            finally:
                for _ in range(self._at_once):
                    self._give()

    def _take(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            called = threading.Lock()
            called.acquire()
            self._waiting.append(called)
        called.acquire()

    def _give(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1
