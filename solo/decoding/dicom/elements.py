"""Typed access to the raw data elements of an untrusted data set, by the rank of the element.

What the pixels depend on is asked for by `integer`, which raises; its errors name the element,
never its value. All else is a proposal for display or information, and asking for it never raises:
a number that cannot be read comes as NaN, which is told from what is absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite, nan
from typing import Any, Final

import numpy as np
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from solo.decoding.dicom.element_walk import Encoding, Walk
from solo.errors import MalformedError

UNREADABLE: Final = "?"
"""In place of a value that cannot be converted."""

_MOST_BYTES: Final = 4096  # of what is not a table
_TEXT: Final = frozenset({"AE", "AS", "CS", "DS", "IS", "LO", "LT", "SH", "ST", "UC", "UI", "UT"})


def code(dataset: Dataset, keyword: str) -> str:
    """A Code String or UID in upper case without padding; of several the first; empty if absent."""
    raw = dataset.get_item(keyword)
    value = b"" if raw is None or raw.value is None else raw.value
    return value.split(b"\\", 1)[0].decode("ascii", "replace").strip("\0 \t\r\n").upper()


def numbers(dataset: Dataset, keyword: str, most_bytes: int = _MOST_BYTES) -> list[float]:
    """All values as floats; NaN for what is no finite number, nothing where absent.

    A decimal comma is read as the point that it stands for: some writers follow their country.
    """
    raw, listed = dataset.get_item(keyword), dictionary_VR(keyword)
    representation = listed if raw is None or raw.VR in (None, "UN") else raw.VR
    if isinstance(raw, RawDataElement) and representation in _TEXT:
        text = (raw.value or b"").decode("ascii", "replace").strip("\0 ")
        values = text.split("\\") if len(text) <= most_bytes else [UNREADABLE]
        return [_number(one) for one in values] if text else []
    value = value_of(dataset, keyword, most_bytes)
    if value is None:
        return []
    if isinstance(value, bytes) and "US" in listed:
        # Words in implicit VR, where their sign could not be told, or declared bytes.
        order = ">" if dataset.original_encoding[1] is False else "<"
        return list(map(float, np.frombuffer(value[: len(value) // 2 * 2], f"{order}u2")))
    return [_number(one) for one in (value if isinstance(value, MultiValue | list) else [value])]


def number(dataset: Dataset, keyword: str, default: float = nan) -> float:
    """The first value as a float, the default where absent; NaN for what is no finite number."""
    return next(iter(numbers(dataset, keyword)), default)


def integer(dataset: Dataset, keyword: str, default: int | None = None) -> int:
    """The first value as an integer.

    Raises:
        MalformedError: if it is no integer, or absent and there is no default.
    """
    values = numbers(dataset, keyword)
    if values and values[0].is_integer():
        return int(values[0])
    if values:
        raise MalformedError(f"the DICOM element {keyword} is not an integer")
    if default is None:
        raise MalformedError(f"the DICOM element {keyword} is missing")
    return default


def items(dataset: Dataset, keyword: str) -> Iterator[Dataset]:
    """The items of a sequence; none where it is absent.

    Raises:
        MalformedError: at an item that is damaged, or at once if the element is no sequence.
    """
    raw = dataset.get_item(keyword)
    if not isinstance(raw, RawDataElement):
        return
    if raw.VR not in ("SQ", "UN", None):
        raise MalformedError(f"the DICOM element {keyword} is not a sequence")
    # What is unknown to a writer is in implicit little endian (PS3.5 6.2.2).
    implicit, little = raw.is_implicit_VR or raw.VR == "UN", raw.is_little_endian or raw.VR == "UN"
    yield from Walk(memoryview(raw.value or b""), Encoding(implicit, little)).items()


def value_of(dataset: Dataset, keyword: str, most_bytes: int = _MOST_BYTES) -> Any:  # noqa: ANN401
    """A binary value, None where the element is absent or empty, `UNREADABLE` where that is all.

    Args:
        dataset: what is searched.
        keyword: the element's.
        most_bytes: of the value; some conversions take a second for a megabyte.
    """
    try:
        raw = dataset.get_item(keyword)
        if isinstance(raw, RawDataElement) and (
            raw.VR == "SQ" or len(raw.value or b"") > most_bytes
        ):
            return UNREADABLE
        value = None if raw is None else dataset[keyword].value
    except MemoryError:
        raise
    except Exception:  # whatever the conversion comes to
        return UNREADABLE
    return None if value is None or value == "" or value == b"" else value


def _number(value: object) -> float:
    try:
        found = float(str(value).replace(",", "."))
    except ValueError:
        return nan
    return found if isfinite(found) else nan
