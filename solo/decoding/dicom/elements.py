"""Typed access to the data elements of an untrusted data set.

Conversion happens on access and fails in many ways. The errors name the element, never its value.
"""

from __future__ import annotations

from math import isfinite
from typing import Any, Final

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from solo.decoding.dicom.element_walk import Encoding, Walk
from solo.errors import MalformedError

_MOST_BYTES: Final = 4096  # of what is not a table


def value_of(dataset: Dataset, keyword: str, most_bytes: int = _MOST_BYTES) -> Any:  # noqa: ANN401
    """The value, or None where the element is absent or empty.

    Args:
        dataset: what is searched.
        keyword: the element's.
        most_bytes: of the value; some conversions take a second for a megabyte.

    Raises:
        MalformedError: if it cannot be converted, or is longer than that.
    """
    try:
        raw = dataset.get_item(keyword)
        length = len(raw.value or b"") if isinstance(raw, RawDataElement) else 0
        value = None if raw is None or length > most_bytes else dataset[keyword].value
    except MemoryError:
        raise
    except Exception:
        raise MalformedError(f"the DICOM element {keyword} cannot be read") from None
    if length > most_bytes:
        raise MalformedError(
            f"the DICOM element {keyword} has {length:,} bytes; at most {most_bytes:,} are read"
        )
    return None if value is None or value == "" or value == b"" else value


def text(dataset: Dataset, keyword: str) -> str:
    """The value as text without padding; of several the first; empty where absent."""
    value = _first(value_of(dataset, keyword))
    return "" if value is None else str(value).strip(" \0")


def integer(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    """The value as an integer.

    Raises:
        MalformedError: if it is no integer, or absent and there is no default.
    """
    value = _first(value_of(dataset, keyword))
    if value is None:
        if default is None:
            raise MalformedError(f"the DICOM element {keyword} is missing")
        return default
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        raise MalformedError(f"the DICOM element {keyword} is not an integer") from None


def numbers(dataset: Dataset, keyword: str) -> list[float] | None:
    """All values as floats, or None where absent or not all of them finite.

    Raises:
        MalformedError: if one is no number.
    """
    value = value_of(dataset, keyword)
    if value is None:
        return None
    values = list(value) if isinstance(value, MultiValue | list | tuple) else [value]
    try:
        floats = [float(one) for one in values]
    except (TypeError, ValueError, OverflowError):
        raise MalformedError(f"the DICOM element {keyword} is not a number") from None
    return floats if floats and all(map(isfinite, floats)) else None


def number(dataset: Dataset, keyword: str) -> float | None:
    """The first value as a float, or None."""
    values = numbers(dataset, keyword)
    return None if values is None else values[0]


def first_item(dataset: Dataset, keyword: str) -> Dataset | None:
    """The first item of a sequence, or None.

    Raises:
        MalformedError: if the element is none, or is damaged.
    """
    raw = dataset.get_item(keyword)
    if raw is None:
        return None
    if raw.VR not in ("SQ", "UN", None):
        raise MalformedError(f"the DICOM element {keyword} is not a sequence")
    if not isinstance(raw, RawDataElement):  # of a data set that was not read but made
        return raw.value[0] if raw.value else None
    # What is unknown to a writer is in implicit little endian (PS3.5 6.2.2).
    implicit, little = raw.is_implicit_VR or raw.VR == "UN", raw.is_little_endian or raw.VR == "UN"
    return Walk(memoryview(raw.value or b""), Encoding(implicit, little)).first_item()


def _first(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, MultiValue | list | tuple):
        return value[0] if value else None
    return value
