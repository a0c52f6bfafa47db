"""The outer shape of a DICOM file: preamble, file meta information, data set.

The file meta is walked here rather than by pydicom, since a deflated data set has to be inflated
under a limit, and pydicom inflates it without one. So are the items of encapsulated pixel data, and
native ones are left where they are: they are most of a file, and pydicom would copy them. The rest
of the data set is pydicom's.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import SEEK_CUR, SEEK_SET, RawIOBase
from typing import BinaryIO, cast

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import data_element_generator
from pydicom.tag import BaseTag, Tag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from app.decoding.encapsulation import Encapsulated, read_items
from app.decoding.transfer_syntaxes import check_syntax
from app.errors import (
    ImageTooLargeError,
    MalformedError,
    ServiceError,
    TruncatedError,
)

MAX_INFLATED_BYTES = 256 * 2**20
_MAX_READS = 8_000  # two or three an element, of which a radiograph has some hundreds

_PREAMBLE_BYTES = 128
_PREFIX = b"DICM"
_LONG_FORM = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT"}
_VALUE_REPRESENTATION = re.compile(rb"[A-Z]{2}")
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")
_TRANSFER_SYNTAX_ELEMENT = 0x0010
_UNDEFINED_LENGTH = 0xFFFFFFFF
_PIXEL_DATA_TAG = Tag("PixelData")
_PIXEL_DATA = {True: b"\xe0\x7f\x10\x00", False: b"\x7f\xe0\x00\x10"}  # little-endian or not


@dataclass(frozen=True)
class NativePixels:
    """Pixel data without compression.

    Attributes:
        value: of the element, as it lies in the file.
        representation: its value representation; OW in implicit syntaxes.
    """

    value: memoryview
    representation: str


@dataclass(frozen=True)
class DicomFile:
    """A parsed file.

    Attributes:
        transfer_syntax: UID of how the data set is encoded.
        dataset: its other elements, not yet converted from bytes.
        pixel_data: native or encapsulated; None where there are none.
    """

    transfer_syntax: UID
    dataset: Dataset
    pixel_data: NativePixels | Encapsulated | None = None


class _MeteredStream(RawIOBase):
    """Bytes that may be read in so many pieces only: millions of empty items take minutes."""

    def __init__(self, view: memoryview) -> None:
        self._view, self._place, self._reads = view, 0, 0

    def read(self, size: int = -1, /) -> bytes:
        self._reads += 1
        if self._reads > _MAX_READS:
            raise MalformedError("the DICOM file has more elements and items than a radiograph has")
        end = self._place + size if size >= 0 else len(self._view)
        found = bytes(self._view[self._place : end])
        self._place += len(found)
        return found

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int:
        starts = {SEEK_SET: 0, SEEK_CUR: self._place}
        self._place = max(0, starts.get(whence, len(self._view)) + offset)
        return self._place


def looks_like_dicom(data: memoryview) -> bool:
    """Whether the bytes have the DICM prefix (PS3.10 7.1) or start with a plausible element.

    Files without a preamble exist. Their first element is of group 0002 or 0008, low element
    numbers first, which few other files imitate.
    """
    head = bytes(data[: _PREAMBLE_BYTES + 4])
    if head.endswith(_PREFIX) and len(head) == _PREAMBLE_BYTES + 4:
        return True
    return head[:2] in _FIRST_GROUPS and head[3:4] == b"\x00" and len(head) >= 8


def parse_dicom(data: bytes | memoryview) -> DicomFile:
    """Parses a file, elements still raw.

    Raises:
        MalformedError: if it is no DICOM file or ends early.
        ImageTooLargeError: if a deflated data set grows beyond 256 MiB.
        UnsupportedEncodingError: if the transfer syntax is not supported.
    """
    try:
        return _parse(memoryview(data))
    except (ServiceError, MemoryError):  # a decoder's memory is limited, which is no damage
        raise
    except EOFError:
        raise TruncatedError("the DICOM file ends within an element") from None
    except Exception:  # RecursionError of nested sequences, struct.error, and what else comes
        raise MalformedError("the DICOM file cannot be parsed: its structure is damaged") from None


def _parse(data: memoryview) -> DicomFile:
    has_prefix = data[_PREAMBLE_BYTES : _PREAMBLE_BYTES + 4] == _PREFIX
    meta, offset = _file_meta(data, _PREAMBLE_BYTES + 4 if has_prefix else 0)
    syntax = UID(meta.decode("ascii", "replace").rstrip("\0 ")) if meta else _guess(data, offset)
    check_syntax(syntax)
    body = data[offset:]
    if syntax == DeflatedExplicitVRLittleEndian:
        body = memoryview(_inflate(body))
    stream = _MeteredStream(body)
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    elements = {element.tag: element for element in _complete(stream, len(body), implicit, little)}
    pixel_data = None
    if body[stream.tell() : stream.tell() + 4] == _PIXEL_DATA[little]:
        pixel_data, end = _pixel_data(body, stream.tell(), implicit, little)
        stream.seek(end)
        elements |= {one.tag: one for one in _complete(stream, len(body), implicit, little)}
    if any(body[stream.tell() :]):  # a file may be padded with zeros
        raise TruncatedError("the DICOM file ends within an element")
    dataset = Dataset(elements)
    dataset.set_original_encoding(implicit, little)
    return DicomFile(syntax, dataset, pixel_data)


def _file_meta(data: memoryview, offset: int) -> tuple[bytes | None, int]:
    """Transfer Syntax UID and the data set's offset; the meta is explicit VR little endian."""
    syntax: bytes | None = None
    while bytes(data[offset : offset + 2]) == b"\x02\x00":
        element = struct.unpack_from("<H", data, offset + 2)[0]
        start, length, _ = _header(data, offset, implicit=False, little=True)
        if start + length > len(data):
            raise TruncatedError(f"the DICOM file ends within its header, after {len(data)} bytes")
        if element == _TRANSFER_SYNTAX_ELEMENT:
            syntax = bytes(data[start : start + length])
        offset = start + length
    return syntax, offset


def _header(
    data: memoryview, offset: int, *, implicit: bool, little: bool
) -> tuple[int, int, bytes]:
    """Where an element's value begins, its length and its value representation (PS3.5 7.1)."""
    order = "<" if little else ">"
    if implicit:
        return offset + 8, struct.unpack_from(f"{order}I", data, offset + 4)[0], b"OW"
    representation = bytes(data[offset + 4 : offset + 6])
    if representation in _LONG_FORM:
        return offset + 12, struct.unpack_from(f"{order}I", data, offset + 8)[0], representation
    return offset + 8, struct.unpack_from(f"{order}H", data, offset + 6)[0], representation


def _pixel_data(
    body: memoryview, offset: int, implicit: bool, little: bool
) -> tuple[NativePixels | Encapsulated, int]:
    """The pixel data element at an offset, and where it ends."""
    start, length, representation = _header(body, offset, implicit=implicit, little=little)
    if length == _UNDEFINED_LENGTH:
        return read_items(body, start)
    if start + length > len(body):
        raise TruncatedError("the DICOM file ends within an element")
    native = NativePixels(body[start : start + length], representation.decode("ascii", "replace"))
    return native, start + length


def _guess(data: memoryview, offset: int) -> UID:
    """The syntax of a data set without file meta: a VR after the tag means it is explicit."""
    explicit = _VALUE_REPRESENTATION.fullmatch(data[offset + 4 : offset + 6])
    return ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian


def _inflate(deflated: memoryview) -> bytes:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    body = inflater.decompress(deflated, MAX_INFLATED_BYTES)
    if inflater.unconsumed_tail:
        raise ImageTooLargeError(
            f"the deflated data set is longer than {MAX_INFLATED_BYTES:,} bytes"
        )
    if not inflater.eof:
        raise TruncatedError("the deflated data set has no end: part of the file is missing")
    return body


def _complete(
    stream: _MeteredStream, length: int, implicit: bool, little: bool
) -> Iterator[DataElement | RawDataElement]:
    """The elements up to the pixel data, all of them whole.

    pydicom passes over an early end. The stream is left where the last whole element ends.
    """
    end = stream.tell()
    source = cast(BinaryIO, stream)
    for element in data_element_generator(source, implicit, little, _is_pixel_data):
        if (
            isinstance(element, RawDataElement)
            and element.length != _UNDEFINED_LENGTH
            and element.value_tell + element.length > length
        ):
            raise TruncatedError("the DICOM file ends within an element")
        end = stream.tell()
        yield element
    stream.seek(end)


def _is_pixel_data(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return bool(tag == _PIXEL_DATA_TAG)
