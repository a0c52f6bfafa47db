"""Whose turn it is on a device: a few runs at once, or something that needs it for itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager


class Turns:
    """Turns for threads.

    Args:
        at_once: most turns that are taken at the same time.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._free = threading.Semaphore(at_once)
        self._lock = threading.Lock()
        self._taken = self._begun = 0
        self._all = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[Callable[[], bool]]:
        """A turn, as soon as one is free; tells who asks whether nobody else has had one since."""
        with self._free:
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

    @contextmanager
    def all(self) -> Iterator[None]:
        """All turns, as soon as nobody has one."""
        with self._all, ExitStack() as turns:  # two who took half each would wait for each other
            for _ in range(self._at_once):
                turns.enter_context(self._free)
            yield
