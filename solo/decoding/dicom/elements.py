"""Typed access to the raw data elements of an untrusted data set, by the rank of the element.

What the pixels depend on is asked for by `integer`, which raises; its errors name the element,
never its value. All else is a proposal for display or information, and asking for it never raises:
a number that cannot be read comes as NaN, which is told from what is absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite, nan
from typing import Final

import numpy as np
from pydicom.datadict import dictionary_VR, tag_for_keyword

from solo.decoding.dicom.element_walk import Element, Elements, Encoding, Walk, has_representation
from solo.errors import MalformedError

_MOST_BYTES: Final = 4096  # of what is not a table; a conversion should not take long
_TEXT: Final = frozenset(
    ("AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI",
     "UR", "UT")
)  # fmt: skip
_BINARY: Final = {
    "US": "u2", "SS": "i2", "UL": "u4", "SL": "i4", "UV": "u8", "SV": "i8", "FL": "f4", "FD": "f8",
}  # fmt: skip
_BYTES: Final = frozenset((None, "UN", "OB", "OD", "OF", "OL", "OV", "OW"))


def code(dataset: Elements, keyword: str) -> str:
    """A Code String or UID in upper case without padding; of several the first; empty if absent."""
    value = _find(dataset, keyword).value
    return value.split(b"\\", 1)[0].decode("ascii", "replace").strip("\0 \t\r\n").upper()


def unconverted(dataset: Elements, keyword: str, most_bytes: int = _MOST_BYTES) -> bytes:
    """A value that is bytes or has no representation; empty where it is none, absent or longer."""
    found = _find(dataset, keyword)
    return found.value if found.representation in _BYTES and len(found.value) <= most_bytes else b""


def numbers(dataset: Elements, keyword: str, most_bytes: int = _MOST_BYTES) -> list[float]:
    """All values as floats; NaN for what is no finite number, nothing where absent.

    A decimal comma is read as the point that it stands for: some writers follow their country.
    """
    declared, value, encoding = _find(dataset, keyword)
    listed = dictionary_VR(keyword)
    representation = listed if declared in (None, "UN") else declared
    if not value:
        return []
    if representation in _TEXT:
        text = value.decode("ascii", "replace").strip("\0 ")
        values = text.split("\\") if len(text) <= most_bytes else ["?"]
        return [_number(one) for one in values] if text else []
    if representation != "US" and declared in _BYTES and "US" in listed:
        # Words in implicit VR, where their sign could not be told, or declared bytes.
        representation, value = "US", value[: len(value) // 2 * 2]
    kind = np.dtype(("<" if encoding.little else ">") + _BINARY.get(representation or "", "V"))
    if len(value) > most_bytes or not kind.itemsize or len(value) % kind.itemsize:
        return [nan]
    return [one if isfinite(one) else nan for one in np.frombuffer(value, kind).astype(float)]


def number(dataset: Elements, keyword: str, default: float = nan) -> float:
    """The first value as a float, the default where absent; NaN for what is no finite number."""
    return next(iter(numbers(dataset, keyword)), default)


def integer(dataset: Elements, keyword: str, default: int | None = None) -> int:
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


def items(dataset: Elements, keyword: str) -> Iterator[Elements]:
    """The items of a sequence; none where it is absent.

    Raises:
        MalformedError: at an item that is damaged, or at once if the element is no sequence.
    """
    representation, value, encoding = _find(dataset, keyword)
    if representation not in ("SQ", "UN", None):
        raise MalformedError(f"the DICOM element {keyword} is not a sequence")
    if representation == "UN":  # what is unknown to a writer is in implicit little endian (6.2.2)
        # or explicit
        encoding = Encoding(not has_representation(memoryview(value), 8), little=True)
    yield from Walk(memoryview(value), encoding).items()


def _find(dataset: Elements, keyword: str) -> Element:
    """The element, empty where it is absent."""
    absent = Element(None, b"", Encoding(implicit=True, little=True))
    return dataset.get(tag_for_keyword(keyword) or 0, absent)


def _number(text: str) -> float:
    try:
        found = float(text.replace(",", "."))
    except ValueError:
        return nan
    return found if isfinite(found) else nan
