"""Data set parsing: walks the data elements (PS3.5 Section 7) and copies them as raw bytes.

pydicom converts while it walks, and some conversions take minutes for a megabyte: of character
sets, of sequences. Here nothing is converted, sequences are passed over, and what is walked is
counted. `elements` then converts the few that are asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from pydicom.valuerep import STANDARD_VR

from solo.errors import MalformedError, TruncatedError

UNDEFINED_LENGTH: Final = 0xFFFFFFFF
PIXEL_DATA: Final = 0x7FE00010

MAX_STEPS: Final = 200_000  # elements and items; 0.5 s and 70 MB; 50 Mpixel take 5 s in J2K
_MAX_DEPTH: Final = 64  # of sequences and their items
_LONG_FORM: Final = frozenset(
    ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
)
_FORMS: Final = {
    little: (struct.Struct(f"{order}HH2sH"), struct.Struct(f"{order}I"))
    for little, order in ((True, "<"), (False, ">"))
}
_ORDERS: Final[dict[bool, Literal["little", "big"]]] = {True: "little", False: "big"}
_DELIMITERS: Final = 0xFFFE
_ITEM_HEADER_BYTES: Final = 8
_BLOCK_BYTES: Final = 65_536
_ITEM: Final = 0xFFFEE000
_ITEMS: Final = (b"\xfe\xff\0\xe0", b"\xff\xfe\xe0\0")  # as bytes, in both orders
_END_OF_ITEM: Final = 0xFFFEE00D
_END_OF_SEQUENCE: Final = 0xFFFEE0DD


class Encoding(NamedTuple):
    """Encoding of a data set: implicit or explicit VR, little or big endian."""

    implicit: bool
    little: bool


class Element(NamedTuple):
    """A data element, not converted.

    Attributes:
        representation: two letters; None where they are implicit.
        value: its bytes.
        encoding: of the data set that it is from.
    """

    representation: str | None
    value: bytes
    encoding: Encoding


Elements = dict[int, Element]
"""A data set, or a part of one, by tag."""


class Header(NamedTuple):
    """Header of a data element: tag, VR and value length.

    Attributes:
        tag: group and element.
        representation: two letters; None where they are implicit.
        start: of the value.
        length: of the value, or `UNDEFINED_LENGTH`.
    """

    tag: int
    representation: str | None
    start: int
    length: int


def read_header(data: memoryview, offset: int, encoding: Encoding) -> Header:
    """Reads the header of the data element at an offset (PS3.5 7.1).

    Where the letters are none, an explicit data set has an implicit element or an unknown
    representation, with a short or a long length: there are writers of each, told apart by where
    their lengths lead.

    Raises:
        struct.error: if the data end within it.
    """
    short, long = _FORMS[encoding.little]
    group, element, letters, length = short.unpack_from(data, offset)
    tag = group << 16 | element
    if encoding.implicit or group == _DELIMITERS:
        return Header(tag, None, offset + 8, long.unpack_from(data, offset + 4)[0])
    if not (letters.isalpha() and letters.isupper()):
        (whole,) = long.unpack_from(data, offset + 4)
        fits = whole == UNDEFINED_LENGTH or offset + 8 + whole <= len(data)
        later = int.from_bytes(data[offset + 8 : offset + 12], _ORDERS[encoding.little])
        for start, size in ((8, whole), (8, length or whole), (12, later)):
            if whole != UNDEFINED_LENGTH and _leads_on(
                data, offset + start + size, encoding, letters
            ):
                return Header(tag, None, offset + start, size)
        return Header(tag, None, offset + 8, whole if fits else length)
    representation = letters.decode("ascii", "replace")
    if representation in _LONG_FORM:
        return Header(tag, representation, offset + 12, long.unpack_from(data, offset + 8)[0])
    return Header(tag, representation, offset + 8, length)


def _leads_on(
    data: memoryview, offset: int, encoding: Encoding, unknown: bytes | None = None
) -> bool:
    """Whether an explicit element, one more unknown, a delimiter or the end is at an offset."""
    delimiter = _DELIMITERS.to_bytes(2, _ORDERS[encoding.little])
    letters = bytes(data[offset + 4 : offset + 6])
    known = letters == unknown or letters.decode("latin-1") in STANDARD_VR
    return known or data[offset : offset + 2] == delimiter or offset == len(data)


def has_representation(data: memoryview, offset: int) -> bool:
    """Whether two capital letters follow the tag at an offset, as in explicit VR."""
    letters = bytes(data[offset + 4 : offset + 6])
    return len(letters) == 2 and letters.isalpha() and letters.isupper()


class Walk:
    """Walk over the data elements, of a bounded number of steps.

    Args:
        data: a data set, or a part of one.
        encoding: of its elements.
    """

    def __init__(self, data: memoryview, encoding: Encoding) -> None:
        self._data = data
        self._end = _end_without_zeros(data)
        self._encoding = encoding
        self._steps = 0

    def elements(self, offset: int, into: Elements) -> Header | None:
        """Reads the data elements from an offset to the end or to the pixel data.

        Items that follow an empty sequence are passed over as its own, and so is a delimiter that
        follows a sequence of defined length.

        Args:
            offset: of the first one.
            into: takes them, all that are read before an error among them.

        Returns:
            The header of the pixel data, if they are there.

        Raises:
            MalformedError: for more elements, items and depth than a radiograph has.
            TruncatedError: if the data end within an element.
        """
        # zeros at the end are padding
        return self._read(offset, self._end, PIXEL_DATA, into)

    def items(self) -> Iterator[Elements]:
        """Reads the items of a sequence's value, one after the other.

        Raises:
            MalformedError: for something else than an item, or more than a radiograph has.
            TruncatedError: if the data end within an element.
        """
        offset = 0
        while offset < len(self._data):
            header = self._header(offset, self._encoding)
            if header.tag == _END_OF_SEQUENCE:
                return
            if header.tag != _ITEM:
                raise MalformedError("a sequence of the DICOM file is damaged: an item is missing")
            end = len(self._data)
            if header.length != UNDEFINED_LENGTH:
                end = self._within(header.start + header.length)
            elements: Elements = {}
            last = self._read(header.start, end, _END_OF_ITEM, elements)
            offset = last.start if last else end
            yield elements

    def _read(self, offset: int, end: int, stop: int, into: Elements) -> Header | None:
        """Reads elements up to an end, or to the header of one, which is returned.

        Kept are those that may be asked for: no private ones.
        """
        may_be_items = after_items = False
        while offset < end:
            header = self._header(offset, self._encoding)
            if header.tag == stop:
                return header
            group = header.tag >> 16
            if group != _DELIMITERS:
                may_be_items = header.length == 0
            elif not may_be_items and not (after_items and header.tag == _END_OF_SEQUENCE):
                raise MalformedError("the DICOM file has an item outside of a sequence")
            offset = self._end_of(header, self._encoding, 0)
            after_items = bytes(self._data[header.start : header.start + 4]) in _ITEMS
            if group % 2 == 0 and group != _DELIMITERS:
                value = bytes(self._data[header.start : offset])
                into[header.tag] = Element(header.representation, value, self._encoding)
        return None

    def _header(self, offset: int, encoding: Encoding) -> Header:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise MalformedError("the DICOM file has more elements and items than a radiograph has")
        try:
            return read_header(self._data, offset, encoding)
        except struct.error:
            raise TruncatedError("the DICOM file ends within an element") from None

    def _within(self, end: int) -> int:
        if end > len(self._data):
            raise TruncatedError("the DICOM file ends within an element")
        return end

    def _end_of(self, header: Header, encoding: Encoding, depth: int) -> int:
        """End of an element or item; of undefined length, an element consists of items."""
        if header.length != UNDEFINED_LENGTH:
            end = self._within(header.start + header.length)
            if not header.length % 2 or encoding.implicit or _leads_on(self._data, end, encoding):
                return end
            return end + _leads_on(self._data, end + 1, encoding)  # padding that is not counted
        if depth >= _MAX_DEPTH:
            raise MalformedError(f"the DICOM file has sequences more than {_MAX_DEPTH // 2} deep")
        if header.representation == "UN":  # PS3.5 6.2.2: its items are in implicit little endian
            first = header.start + _ITEM_HEADER_BYTES
            encoding = Encoding(not has_representation(self._data, first), little=True)
        end = _END_OF_ITEM if header.tag == _ITEM else _END_OF_SEQUENCE
        offset = header.start
        while (inner := self._header(offset, encoding)).tag != end:
            if inner.tag != _ITEM and end == _END_OF_SEQUENCE:
                raise MalformedError("a sequence of the DICOM file is damaged: an item is missing")
            offset = self._end_of(inner, encoding, depth + 1)
        return inner.start


def _end_without_zeros(data: memoryview) -> int:
    """Where zeros begin that reach to the end; nothing is copied but a block at a time."""
    end = len(data)
    while end:
        block = bytes(data[max(end - _BLOCK_BYTES, 0) : end])
        if kept := len(block.rstrip(b"\0")):
            return end - len(block) + kept
        end -= len(block)
    return 0
