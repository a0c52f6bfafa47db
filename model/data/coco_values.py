"""Validation of the single values of an annotation file, where JSON allows more."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TypeGuard

MOST_PIXELS = 1 << 30  # of an image; OpenCV reads no larger one
_LARGEST_ID = 2**63 - 1  # pycocotools keeps ids in 64 bits


def is_id(value: object) -> TypeGuard[int]:
    """Whether a value is a whole number that can name something; true and false cannot."""
    return type(value) is int and abs(value) <= _LARGEST_ID


def is_size(size: tuple[object, object]) -> bool:
    """Whether two values can be the height and width of an image, in pixels."""
    height, width = size
    if type(height) is not int or type(width) is not int:
        return False
    return height > 0 and width > 0 and height * width <= MOST_PIXELS


def is_spacing(value: object) -> bool:
    """Whether a value is two lengths above 0."""
    return (
        isinstance(value, list)
        and len(value) == 2
        and all(type(side) in (int, float) and 0 < side < math.inf for side in value)
    )


def is_flag(value: object) -> bool:
    """Whether a value is 0 or 1, false or true, or not there."""
    return value is None or (type(value) in (bool, int) and value in (0, 1))


def is_text(value: object) -> bool:
    """Whether a value is a text of one character or more that can be written to a file."""
    try:
        return isinstance(value, str) and bool(value.encode())
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON allows
        return False


def is_patient(value: object) -> bool:
    """Whether a value can name a patient, or says that there is no name."""
    return value in (None, "") or type(value) is int or is_text(value)


def find_image(folder: Path, file_name: object) -> Path | None:
    """The file of this name in a data set's folder or its `images/`, None where there is none."""
    if not isinstance(file_name, str) or not file_name:
        return None
    for path in (folder / file_name, folder / "images" / file_name):
        try:
            if path.is_file():
                return path
        except OSError:  # a name too long for any file
            return None
    return None
