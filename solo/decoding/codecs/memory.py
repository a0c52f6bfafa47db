"""Memory that ran short while a film was decoded, told from a film that is damaged.

Some libraries call a film damaged when they lacked memory, or leave its pixels out. What tells is
errno: malloc(3) sets it when it fails, and what succeeds afterwards leaves it alone.
"""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterator
from contextlib import contextmanager

import cv2

_location = getattr(ctypes.pythonapi, "__errno_location", None)  # Linux has it
if _location is not None:
    _location.restype = ctypes.POINTER(ctypes.c_int)


@contextmanager
def shortage_of_memory() -> Iterator[None]:
    """Makes every exception that comes of an allocation that failed in this thread one error.

    Raises:
        MemoryError: in place of what the decoder library says.
    """
    _take_errno()
    try:
        yield
    except Exception as error:
        failed = _take_errno(), getattr(error, "errno", None)
        if errno.ENOMEM in failed or getattr(error, "code", None) == cv2.Error.StsNoMem:
            raise MemoryError from None
        raise


def _take_errno() -> int:
    """This thread's errno, which is 0 afterwards."""
    if _location is None:
        return 0
    place = _location()
    value, place[0] = place[0], 0
    return int(value)
