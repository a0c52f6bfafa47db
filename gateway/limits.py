"""Limits of the process: memory, so that a peer's promise of gigabytes fails; no core dumps."""

from __future__ import annotations

import ctypes
import faulthandler
import resource
import threading
from typing import Final

# glibc gives threads arenas of 64 MiB of addresses, and stacks of 8 MiB. A thread that cannot have
# them dies before it has begun, and who started it waits for ever.
_STACK_BYTES: Final = 2**20
_M_ARENA_MAX: Final = -8  # of mallopt, from malloc.h


def limit_process(memory_bytes: int) -> None:
    """Limits the process for good.

    Args:
        memory_bytes: of its address space.
    """
    faulthandler.disable()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would be films on a disk
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    threading.stack_size(_STACK_BYTES)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # other C libraries have no arenas
        mallopt(_M_ARENA_MAX, 2)
