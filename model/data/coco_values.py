"""Validation of the single values of an annotation file, where JSON allows more."""

from __future__ import annotations

import math
import re
from typing import TypeGuard

MOST_PIXELS = 1 << 30  # of an image; OpenCV reads no larger one
_LARGEST = 2**63 - 1  # pycocotools keeps ids in 64 bits
_LARGEST_FLOAT = 2**53  # above it a float may stand for another number


def whole_number(value: object) -> int | None:
    """A whole number, also written as the text or the fraction that tools make of it, or None.

    True and false are none.
    """
    if isinstance(value, str):
        value = int(value) if re.fullmatch("-?[0-9]{1,19}", value) else None
    if isinstance(value, float) and value.is_integer() and abs(value) <= _LARGEST_FLOAT:
        value = int(value)
    return value if type(value) is int and abs(value) <= _LARGEST else None


def image_size(height: object, width: object) -> tuple[int, int] | None:
    """(height, width) in pixels, or None where two values cannot be those of an image."""
    size = whole_number(height), whole_number(width)
    if size[0] is None or size[1] is None or min(size[0], size[1]) < 1:
        return None
    return (size[0], size[1]) if size[0] * size[1] <= MOST_PIXELS else None


def as_flag(value: object) -> bool | None:
    """0 or 1, false or true as a flag, which is off where nothing is said; None for all else."""
    number = int(value) if isinstance(value, bool) else 0 if value is None else whole_number(value)
    return bool(number) if number in (0, 1) else None


def as_box(value: object) -> tuple[float, float, float, float] | None:
    """x, y, width and height of a `bbox`, or None where it says nothing of an object."""
    if not isinstance(value, list) or len(value) != 4:
        return None
    if not all(type(number) in (int, float) and abs(number) <= _LARGEST for number in value):
        return None
    x, y, width, height = map(float, value)
    return (x, y, width, height) if min(width, height) > 0 else None


def is_spacing(value: object) -> bool:
    """Whether a value is two lengths above 0."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(side) in (int, float) and 0 < side < math.inf for side in value)
    )


def is_text(value: object) -> TypeGuard[str]:
    """Whether a value is a text of one character or more that can be written to a file."""
    try:
        return isinstance(value, str) and bool(value.encode())
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON allows
        return False


def is_patient(value: object) -> bool:
    """Whether a value can name a patient, or says that there is no name."""
    return value in (None, "") or type(value) is int or is_text(value)
