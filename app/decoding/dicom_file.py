"""The outer shape of a DICOM file: preamble, file meta information, data set.

The file meta is walked here rather than by pydicom, since a deflated data set has to be inflated
under a limit, and pydicom inflates it without one. So are the items of encapsulated pixel data. The
rest of the data set is pydicom's.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

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
_PIXEL_DATA = b"\xe0\x7f\x10\x00"
_LONG_HEADER_BYTES = 12  # tag, value representation, two reserved bytes, length


@dataclass(frozen=True)
class DicomFile:
    """A parsed file.

    Attributes:
        transfer_syntax: UID of how the data set is encoded.
        dataset: its elements, not yet converted from bytes; without encapsulated pixel data.
        encapsulated: the items of encapsulated pixel data; None where they are native or absent.
    """

    transfer_syntax: UID
    dataset: Dataset
    encapsulated: Encapsulated | None = None


class _MeteredStream(BytesIO):
    """Bytes that may be read in so many pieces only: millions of empty items take minutes."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self._reads += 1
        if self._reads > _MAX_READS:
            raise MalformedError("the DICOM file has more elements and items than a radiograph has")
        return super().read(size)


def looks_like_dicom(data: bytes) -> bool:
    """Whether the bytes have the DICM prefix (PS3.10 7.1) or start with a plausible element.

    Files without a preamble exist. Their first element is of group 0002 or 0008, low element
    numbers first, which few other files imitate.
    """
    if data[_PREAMBLE_BYTES : _PREAMBLE_BYTES + 4] == _PREFIX:
        return True
    return data[:2] in _FIRST_GROUPS and data[3:4] == b"\x00" and len(data) >= 8


def parse_dicom(data: bytes) -> DicomFile:
    """Parses a file, elements still raw.

    Raises:
        MalformedError: if it is no DICOM file or ends early.
        ImageTooLargeError: if a deflated data set grows beyond 256 MiB.
        UnsupportedEncodingError: if the transfer syntax is not supported.
    """
    try:
        return _parse(data)
    except (ServiceError, MemoryError):  # a decoder's memory is limited, which is no damage
        raise
    except EOFError:
        raise TruncatedError("the DICOM file ends within an element") from None
    except Exception:  # RecursionError of nested sequences, struct.error, and what else comes
        raise MalformedError("the DICOM file cannot be parsed: its structure is damaged") from None


def _parse(data: bytes) -> DicomFile:
    has_prefix = data[_PREAMBLE_BYTES : _PREAMBLE_BYTES + 4] == _PREFIX
    meta, offset = _file_meta(data, _PREAMBLE_BYTES + 4 if has_prefix else 0)
    syntax = UID(meta.decode("ascii", "replace").rstrip("\0 ")) if meta else _guess(data, offset)
    check_syntax(syntax)
    body = _inflate(data[offset:]) if syntax == DeflatedExplicitVRLittleEndian else data
    stream = _MeteredStream(body)
    stream.seek(0 if body is not data else offset)
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    elements = {element.tag: element for element in _complete(stream, len(body), implicit, little)}
    encapsulated = None
    if body.startswith(_PIXEL_DATA, stream.tell()):
        encapsulated, end = read_items(body, stream.tell() + _LONG_HEADER_BYTES)
        stream.seek(end)
        elements |= {one.tag: one for one in _complete(stream, len(body), implicit, little)}
    if any(stream.read()):  # a file may be padded with zeros
        raise TruncatedError("the DICOM file ends within an element")
    dataset = Dataset(elements)
    dataset.set_original_encoding(implicit, little)
    return DicomFile(syntax, dataset, encapsulated)


def _file_meta(data: bytes, offset: int) -> tuple[bytes | None, int]:
    """Transfer Syntax UID and the data set's offset; the meta is explicit VR little endian."""
    syntax: bytes | None = None
    while data[offset : offset + 2] == b"\x02\x00":
        element = struct.unpack_from("<H", data, offset + 2)[0]
        if data[offset + 4 : offset + 6] in _LONG_FORM:
            start, length = offset + 12, struct.unpack_from("<I", data, offset + 8)[0]
        else:
            start, length = offset + 8, struct.unpack_from("<H", data, offset + 6)[0]
        if start + length > len(data):
            raise TruncatedError(f"the DICOM file ends within its header, after {len(data)} bytes")
        if element == _TRANSFER_SYNTAX_ELEMENT:
            syntax = data[start : start + length]
        offset = start + length
    return syntax, offset


def _guess(data: bytes, offset: int) -> UID:
    """The syntax of a data set without file meta: a VR after the tag means it is explicit."""
    explicit = _VALUE_REPRESENTATION.fullmatch(data[offset + 4 : offset + 6])
    return ExplicitVRLittleEndian if explicit else ImplicitVRLittleEndian


def _inflate(deflated: bytes) -> bytes:
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
    stream: BytesIO, length: int, implicit: bool, little: bool
) -> Iterator[DataElement | RawDataElement]:
    """The elements up to encapsulated pixel data, all of them whole.

    pydicom passes over an early end. The stream is left where the last whole element ends.
    """
    end = stream.tell()
    for element in data_element_generator(stream, implicit, little, _is_encapsulated):
        if (
            isinstance(element, RawDataElement)
            and element.length != _UNDEFINED_LENGTH
            and element.value_tell + element.length > length
        ):
            raise TruncatedError("the DICOM file ends within an element")
        end = stream.tell()
        yield element
    stream.seek(end)


def _is_encapsulated(tag: BaseTag, _vr: str | None, length: int) -> bool:
    return tag == _PIXEL_DATA_TAG and length == _UNDEFINED_LENGTH
