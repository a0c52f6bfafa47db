"""Memory that a film took is given back before the next one comes.

glibc keeps what was freed below anything that is still in use, for good: after one film of many
small parts, such as the code blocks of a JPEG 2000, that is hundreds of megabytes.
"""

from __future__ import annotations

import ctypes
import resource
from typing import Final

_KEPT_BYTES: Final = 96 * 2**20  # more than ordinary films leave: new pages cost time


class Footprint:
    """What the process takes, beside what it took when this was made."""

    def __init__(self) -> None:
        self._idle = _mapped_and_private()
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: 0)  # glibc's own

    def shrink(self) -> bool:
        """Gives back what it can, if that is much; returns whether little is left.

        What is left is a leak, or addresses that the next film could not have (RLIMIT_AS).
        """
        if self._is_small():
            return True
        self._trim(0)
        return self._is_small()

    def _is_small(self) -> bool:
        grown = (now - idle for now, idle in zip(_mapped_and_private(), self._idle, strict=True))
        return max(grown) <= _KEPT_BYTES


def _mapped_and_private() -> tuple[int, int]:
    """Bytes of addresses, and of memory that is nobody else's too (proc(5))."""
    with open("/proc/self/statm") as statm:
        mapped, resident, shared = map(int, statm.read().split()[:3])
    page = resource.getpagesize()
    return mapped * page, (resident - shared) * page
