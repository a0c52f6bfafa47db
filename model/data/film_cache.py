"""Film cache: reduced films in memory, up to so many bytes."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from pathlib import Path

import numpy as np
import numpy.typing as npt

Reduced = tuple[npt.NDArray[np.uint8], tuple[float, float]]
_SHARE = 0.25  # of the memory that is free; the rest is the network's and the page cache's
_CGROUP = Path("/sys/fs/cgroup")


class FilmCache:
    """Keeps the films that came first, as many as fit.

    None makes room for another: every film comes once a round, so that one that was pushed out
    would be read again before the one that came for it is used a second time.

    Args:
        most_bytes: of all films together; 0 keeps none.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.used_bytes = 0
        self._films: dict[Hashable, Reduced] = {}

    def get(self, key: Hashable, read: Callable[[], Reduced]) -> Reduced:
        """The film of a key, read only where it is not kept."""
        film = self._films.get(key)
        if film is None:
            film = read()
            if self.used_bytes + film[0].nbytes <= self.most_bytes:
                self._films[key] = film
                self.used_bytes += film[0].nbytes
        return film

    def __reduce__(self) -> tuple[type[FilmCache], tuple[int]]:
        """An empty one in another process: each reads what it needs."""
        return FilmCache, (self.most_bytes,)


def share_of_memory(workers: int) -> int:
    """Bytes of films that each process may keep: a quarter of what is free for all of them.

    Args:
        workers: processes that prepare samples, of each that trains on this machine.
    """
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1")) * max(1, workers)
    return int(_SHARE * _available_bytes() / processes)


def _available_bytes() -> int:
    """Memory that is free now, on the machine and within the limit of a container."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        known = dict(line.split(":", 1) for line in lines)
        free = 1024 * int(known["MemAvailable"].split()[0])  # with what the page cache can give
    except (OSError, LookupError, ValueError):  # no Linux
        pass
    try:
        limit, used = (
            int((_CGROUP / f"memory.{name}").read_text(encoding="ascii"))
            for name in ("max", "current")
        )
    except (OSError, ValueError):  # no container, or one without a limit, which is "max"
        return free
    return min(free, max(0, limit - used))
