"""Limits of the process: memory, so that a peer's promise of gigabytes fails; no core dumps."""

from __future__ import annotations

import faulthandler
import resource
import threading
from typing import Final

# glibc gives each thread an arena of 64 MiB of addresses and a stack of 8 MiB.
_STACK_BYTES: Final = 1 << 20


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
