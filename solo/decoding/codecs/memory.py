"""Out-of-memory errors of decoder libraries, told from damaged data."""

from __future__ import annotations

import errno

import cv2


def check_memory(error: Exception) -> None:
    """Raises a MemoryError for a library's exception that says it lacked memory.

    Raises:
        MemoryError: so that the file is not called damaged.
    """
    if "memory" in str(error).lower() or getattr(error, "code", None) == cv2.Error.StsNoMem:
        raise MemoryError from None


def is_out_of_memory(error: Exception) -> bool:
    """Whether an exception says that memory was short, in whatever words of whichever library."""
    if isinstance(error, cv2.error):
        return getattr(error, "code", None) == cv2.Error.StsNoMem
    return isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM
