"""Allocator tuning: memory that is kept when a request is done, for the next one.

glibc gives what 15 MB took back to the kernel, a piece at a time, and the kernel hands it out anew,
a cleared page at a time: that costs more than the rest of receiving them.
"""

from __future__ import annotations

import ctypes
from typing import Final

# mallopt(3). Both thresholds move by themselves until one of them is set.
_TRIM_THRESHOLD: Final = -1
_MAP_THRESHOLD: Final = -3
_KEPT_BYTES: Final = 64 * 2**20
_LARGEST_KEPT_BYTES: Final = 32 * 2**20  # glibc takes no larger one


def keep_memory() -> bool:
    """Lets the allocator keep up to 64 MiB of free memory, and use it for all but huge pieces.

    Returns:
        Whether it does: allocators other than glibc's are left as they are.
    """
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(
        set_option(_TRIM_THRESHOLD, _KEPT_BYTES) and set_option(_MAP_THRESHOLD, _LARGEST_KEPT_BYTES)
    )
