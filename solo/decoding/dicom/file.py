"""DICOM file parsing: preamble, file meta information, data set, pixel data (PS3.10 7.1).

All of it is walked here and in `element_walk` rather than by pydicom: a deflated data set has to be
inflated under a limit, what is walked has to be counted, and the pixels, which are most of a file,
stay where they are.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from solo.decoding.dicom.element_walk import UNDEFINED_LENGTH, Encoding, Header, Walk, read_header
from solo.decoding.dicom.encapsulation import Encapsulated, read_items
from solo.decoding.dicom.transfer_syntaxes import check_syntax
from solo.errors import (
    ImageTooLargeError,
    MalformedError,
    SoloError,
    TruncatedError,
)

MAX_INFLATED_BYTES = 128 * 2**20  # no more than a body without compression may have

_PREAMBLE_BYTES = 128
_PREFIX = b"DICM"
_DATA_START = _PREAMBLE_BYTES + len(_PREFIX)
_VALUE_REPRESENTATION = re.compile(rb"[A-Z]{2}")
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")
_BIG_ENDIAN_GROUP = b"\x00\x08"
_META = Encoding(implicit=False, little=True)
_META_GROUP = 0x0002
_MEDIA_STORAGE_SOP_CLASS = 0x00020002
_TRANSFER_SYNTAX = 0x00020010


@dataclass(frozen=True)
class NativePixels:
    """Pixel data in native format, without compression or encapsulation.

    Attributes:
        value: of the element, as it lies in the file.
        representation: its value representation; OW in implicit syntaxes.
    """

    value: memoryview
    representation: str


@dataclass(frozen=True)
class DicomFile:
    """A parsed DICOM file: transfer syntax, data set and pixel data.

    Attributes:
        transfer_syntax: UID of how the data set is encoded.
        dataset: its other elements, not yet converted from bytes.
        pixel_data: native or encapsulated; None where there are none.
        media_class: Media Storage SOP Class UID of the file meta information, empty where absent.
    """

    transfer_syntax: UID
    dataset: Dataset
    pixel_data: NativePixels | Encapsulated | None = None
    media_class: str = ""


def looks_like_dicom(data: bytes | memoryview, other_signature: bool) -> bool:
    """Whether the bytes have the DICM prefix or, without a preamble, start with an element.

    The preamble may be the header of another format, and says nothing. But pixels of a file of
    that format may spell DICM by chance: then no element follows it.

    Args:
        data: of the file, as much as there is.
        other_signature: whether the file begins like one of another format.
    """
    has_prefix = data[_PREAMBLE_BYTES:_DATA_START] == _PREFIX
    if other_signature:
        return has_prefix and _is_first_element(bytes(data[_DATA_START : _DATA_START + 8]))
    return has_prefix or _is_first_element(bytes(data[:8]))


def _is_first_element(data: bytes) -> bool:
    """Whether it is of group 0002 or 0008, low element numbers first, which few files imitate."""
    if data[:2] == _BIG_ENDIAN_GROUP:
        return data[2:3] == b"\x00" and _VALUE_REPRESENTATION.fullmatch(data[4:6]) is not None
    return data[:2] in _FIRST_GROUPS and data[3:4] == b"\x00" and len(data) == 8


def parse_dicom(data: bytes | memoryview) -> DicomFile:
    """Parses a DICOM file; its data elements stay raw.

    Raises:
        MalformedError: if it is no DICOM file or ends early.
        ImageTooLargeError: if a deflated data set grows beyond 128 MiB.
        UnsupportedEncodingError: if the transfer syntax is not supported.
    """
    try:
        return _parse(memoryview(data))
    except (SoloError, MemoryError):  # a decoder's memory is limited, which is no damage
        raise
    except Exception:  # whatever damage comes to, such as struct.error and zlib.error
        raise MalformedError("the DICOM file cannot be parsed: its structure is damaged") from None


def _parse(data: memoryview) -> DicomFile:
    has_prefix = data[_PREAMBLE_BYTES:_DATA_START] == _PREFIX
    meta, offset = _file_meta(data, _DATA_START if has_prefix else 0)
    declared = meta.get(_TRANSFER_SYNTAX)
    syntax = UID(declared) if declared else _guess(data, offset)
    check_syntax(syntax)
    body = data[offset:]
    if syntax == DeflatedExplicitVRLittleEndian:
        body = memoryview(_inflate(body))
    encoding = _encoding(syntax, body)
    walk = Walk(body, encoding)
    elements, header, offset = walk.elements(0)
    pixel_data = None
    if header is not None:
        pixel_data, offset = _pixel_data(body, header)
        more, again, _ = walk.elements(offset)
        if again is not None:
            raise MalformedError("the DICOM file has pixel data twice")
        elements |= more
    dataset = Dataset(elements)
    dataset.set_original_encoding(*encoding)
    return DicomFile(syntax, dataset, pixel_data, meta.get(_MEDIA_STORAGE_SOP_CLASS, ""))


def _file_meta(data: memoryview, offset: int) -> tuple[dict[int, str], int]:
    """UIDs of the file meta information and the data set's offset; explicit VR little endian."""
    uids: dict[int, str] = {}
    while len(data) >= offset + 8:
        tag, _, start, length = read_header(data, offset, _META)
        if tag >> 16 != _META_GROUP:
            break
        if start + length > len(data):
            raise TruncatedError(f"the DICOM file ends within its header, after {len(data)} bytes")
        if tag in (_MEDIA_STORAGE_SOP_CLASS, _TRANSFER_SYNTAX):
            value = bytes(data[start : start + length]).decode("ascii", "replace")
            uids[tag] = value.strip("\0 \t\r\n")
        offset = start + length
    return uids, offset


def _pixel_data(body: memoryview, header: Header) -> tuple[NativePixels | Encapsulated, int]:
    """The pixel data, and where they end."""
    if header.length == UNDEFINED_LENGTH:
        return read_items(body, header.start)
    end = header.start + header.length
    if end > len(body):
        raise TruncatedError("the DICOM file ends within its pixel data")
    return NativePixels(body[header.start : end], header.representation or "OW"), end


def _guess(data: memoryview, offset: int) -> UID:
    """The syntax of a data set without file meta: a VR after the tag means it is explicit."""
    if not _VALUE_REPRESENTATION.fullmatch(data[offset + 4 : offset + 6]):
        return ImplicitVRLittleEndian
    big = data[offset : offset + 2] == _BIG_ENDIAN_GROUP
    return ExplicitVRBigEndian if big else ExplicitVRLittleEndian


def _encoding(syntax: UID, body: memoryview) -> Encoding:
    """Encoding of the data set: explicit where it is declared implicit but cannot be.

    Writers that declare the default syntax whatever they write are known. Two letters taken for a
    length are beyond 16 KiB, and a data set begins with short elements.
    """
    implicit = syntax == ImplicitVRLittleEndian
    if implicit and _VALUE_REPRESENTATION.fullmatch(body[4:6]):
        implicit = False
    return Encoding(implicit, syntax != ExplicitVRBigEndian)


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
