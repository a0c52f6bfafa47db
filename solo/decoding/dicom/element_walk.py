"""Data set parsing: walks the data elements (PS3.5 Section 7) and copies them as raw bytes.

pydicom converts while it walks, and some conversions take minutes for a megabyte: of character
sets, of sequences. Here nothing is converted, sequences are passed over, and what is walked is
counted. pydicom then reads the few elements that are asked for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from solo.errors import MalformedError, TruncatedError

Elements = dict[BaseTag, DataElement | RawDataElement]

UNDEFINED_LENGTH: Final = 0xFFFFFFFF
PIXEL_DATA: Final = Tag("PixelData")

_MAX_STEPS: Final = 10_000  # elements and items; a radiograph has some hundreds
_MAX_DEPTH: Final = 32
_LONG_FORM: Final = frozenset(
    ("OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV")
)
_FORMS: Final = {
    little: (struct.Struct(f"{order}HH2sH"), struct.Struct(f"{order}I"))
    for little, order in ((True, "<"), (False, ">"))
}
_CHARACTER_SET: Final = 0x00080005
_DELIMITERS: Final = 0xFFFE
_ITEM: Final = 0xFFFEE000
_END_OF_ITEM: Final = 0xFFFEE00D
_END_OF_SEQUENCE: Final = 0xFFFEE0DD


class Encoding(NamedTuple):
    """Encoding of a data set: implicit or explicit VR, little or big endian."""

    implicit: bool
    little: bool


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
    representation: there are writers of both.

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
        return Header(tag, None, offset + 8, whole if fits else length)
    representation = letters.decode("ascii", "replace")
    if representation in _LONG_FORM:
        return Header(tag, representation, offset + 12, long.unpack_from(data, offset + 8)[0])
    return Header(tag, representation, offset + 8, length)


class Walk:
    """Walk over the data elements, of a bounded number of steps.

    Args:
        data: a data set, or a part of one.
        encoding: of its elements.
    """

    def __init__(self, data: memoryview, encoding: Encoding) -> None:
        self._data = data
        self._encoding = encoding
        self._steps = 0

    def elements(self, offset: int) -> tuple[Elements, Header | None, int]:
        """Reads the data elements from an offset to the end or to the pixel data.

        Returns:
            The elements, the header of the pixel data if they are there, and where the walk ended:
            at the pixel data's value, or after the last element.

        Raises:
            MalformedError: for more elements, items and depth than a radiograph has.
            TruncatedError: if the data end within an element.
        """
        elements: Elements = {}
        while not self._is_padding(offset):
            header = self._header(offset, self._encoding)
            if header.tag == PIXEL_DATA:
                return elements, header, header.start
            if header.tag >> 16 == _DELIMITERS:
                raise MalformedError("the DICOM file has an item outside of a sequence")
            offset = self._end_of(header, self._encoding, 0)
            self._keep(elements, header, offset)
        return elements, None, offset

    def items(self) -> Iterator[Dataset]:
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
            offset = header.start
            while offset < end:
                element = self._header(offset, self._encoding)
                if element.tag == _END_OF_ITEM:
                    offset = element.start
                    break
                offset = self._end_of(element, self._encoding, 1)
                self._keep(elements, element, offset)
            dataset = Dataset(elements)
            dataset.set_original_encoding(*self._encoding)
            yield dataset

    def _is_padding(self, offset: int) -> bool:
        """Whether nothing but zeros follows, if anything."""
        if bytes(self._data[offset : offset + 4]).strip(b"\0"):
            return False
        rest = bytes(self._data[offset:])
        return rest.count(0) == len(rest)

    def _keep(self, elements: Elements, header: Header, end: int) -> None:
        if header.tag == _CHARACTER_SET:  # what is read here is in the default one
            return
        tag, value = BaseTag(header.tag), bytes(self._data[header.start : end])
        elements[tag] = RawDataElement(
            tag, header.representation, len(value), value, header.start, *self._encoding
        )

    def _header(self, offset: int, encoding: Encoding) -> Header:
        self._steps += 1
        if self._steps > _MAX_STEPS:
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
        """End of an element; of undefined length it consists of items, whatever it is."""
        if header.length != UNDEFINED_LENGTH:
            return self._within(header.start + header.length)
        if depth >= _MAX_DEPTH:
            raise MalformedError(f"the DICOM file has sequences more than {_MAX_DEPTH} deep")
        if header.representation == "UN":  # PS3.5 6.2.2: its items are in implicit little endian
            encoding = Encoding(implicit=True, little=True)
        offset = header.start
        while (item := self._header(offset, encoding)).tag != _END_OF_SEQUENCE:
            if item.tag != _ITEM:
                raise MalformedError("a sequence of the DICOM file is damaged: an item is missing")
            offset = self._end_of_item(item, encoding, depth + 1)
        return item.start

    def _end_of_item(self, item: Header, encoding: Encoding, depth: int) -> int:
        if item.length != UNDEFINED_LENGTH:
            return self._within(item.start + item.length)
        offset = item.start
        while (header := self._header(offset, encoding)).tag != _END_OF_ITEM:
            offset = self._end_of(header, encoding, depth)
        return header.start
