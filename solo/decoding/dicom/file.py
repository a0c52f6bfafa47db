"""DICOM file parsing: preamble, file meta information, data set, pixel data (PS3.10 7.1).

All of it is walked here and in `element_walk` rather than by pydicom: a deflated data set has to be
inflated under a limit, what is walked has to be counted, and the pixels, which are most of a file,
stay where they are.
"""

from __future__ import annotations

import zlib
from contextlib import nullcontext, suppress
from dataclasses import dataclass

from pydicom import config
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from solo.decoding.dicom.element_walk import (
    MAX_STEPS,
    UNDEFINED_LENGTH,
    Element,
    Elements,
    Encoding,
    Header,
    Walk,
    has_representation,
    read_header,
)
from solo.decoding.dicom.elements import code
from solo.decoding.dicom.encapsulation import Encapsulated, has_items, read_items
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
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")
_BIG_ENDIAN_GROUP = b"\x00\x08"
_META = Encoding(implicit=False, little=True)
_META_GROUP = 0x0002
_COMMAND_GROUP = 0x0000
_NATIVE_SYNTAXES = {
    Encoding(implicit=True, little=True): ImplicitVRLittleEndian,
    Encoding(implicit=False, little=True): ExplicitVRLittleEndian,
    Encoding(implicit=False, little=False): ExplicitVRBigEndian,
}


@dataclass(frozen=True)
class NativePixels:
    """Pixel data in native format, without compression or encapsulation.

    Attributes:
        value: of the element, as it lies in the file; shorter than its length if that was cut.
        length: of the value in bytes, as declared.
        representation: its value representation; OW in implicit syntaxes.
        little: whether it is in little endian, as its data set.
    """

    value: memoryview
    length: int
    representation: str
    little: bool


@dataclass(frozen=True)
class DicomFile:
    """A parsed DICOM file: transfer syntax, data set and pixel data.

    Attributes:
        transfer_syntax: as declared; where none is, the native one of the data set's encoding.
        dataset: its other elements, not converted.
        pixel_data: native or encapsulated; None where there are none.
        media_class: Media Storage SOP Class UID of the file meta information, empty where absent.
    """

    transfer_syntax: UID
    dataset: Elements
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
        return data[2:3] == b"\x00" and has_representation(memoryview(data), 0)
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
    syntax = UID(code(meta, "TransferSyntaxUID"), config.IGNORE)
    body, inflated = data[offset:], False
    if syntax == DeflatedExplicitVRLittleEndian and not _begins_data_set(body):
        body, inflated = memoryview(_inflate(body)), True
    encoding = _encoding(syntax, body)
    if not syntax.is_valid:
        syntax = _NATIVE_SYNTAXES[encoding]
    try:
        dataset, pixel_data = _data_set(body, encoding, strict=inflated)
    except MalformedError:
        check_syntax(syntax)
        raise
    if not isinstance(pixel_data, Encapsulated):  # whose codings are told by their bytes
        check_syntax(syntax)
    return DicomFile(syntax, dataset, pixel_data, code(meta, "MediaStorageSOPClassUID"))


def _data_set(
    body: memoryview, encoding: Encoding, *, strict: bool
) -> tuple[Elements, NativePixels | Encapsulated | None]:
    """The elements before the pixel data, which have to be whole, and those that can be read after.

    Nothing that follows whole pixels refuses them; of what is there twice, the first counts. Only
    what was inflated has to be whole to its end, which is all that tells of damage to it.
    """
    walk = Walk(body, encoding)
    elements, later, pixel_data = Elements(), Elements(), None
    header = walk.elements(0, elements)
    if header is not None:
        pixel_data, end = _pixel_data(body, header, encoding)
        with nullcontext() if strict else suppress(MalformedError):
            walk.elements(end, later)
    return later | elements, pixel_data


def _file_meta(data: memoryview, offset: int) -> tuple[Elements, int]:
    """The file meta information and the data set's offset; explicit VR little endian.

    Some writers leave the command in front of the data set, or zeros, which are of its group.
    """
    meta = Elements()
    for _ in range(MAX_STEPS):
        if len(data) < offset + 8:
            break
        tag, representation, start, length = read_header(data, offset, _META)
        if tag >> 16 not in (_META_GROUP, _COMMAND_GROUP):
            break
        if start + length > len(data):
            raise TruncatedError(f"the DICOM file ends within its header, after {len(data)} bytes")
        offset = start + length
        meta[tag] = Element(representation, bytes(data[start:offset]), _META)
    return meta, offset


def _pixel_data(
    body: memoryview, header: Header, encoding: Encoding
) -> tuple[NativePixels | Encapsulated, int]:
    """The pixel data, and where they end."""
    if header.length == UNDEFINED_LENGTH:
        return read_items(body, header.start)
    end = header.start + header.length
    value = body[header.start : end]
    if has_items(value):
        return read_items(value, 0)[0], end
    kind = header.representation or "OW"
    return NativePixels(value, header.length, kind, encoding.little), end


def _begins_data_set(data: memoryview) -> bool:
    """Whether an explicit element of group 0008 comes first; no deflate stream begins so."""
    return bytes(data[:2]) == b"\x08\0" and has_representation(data, 0)


def _encoding(syntax: UID, body: memoryview) -> Encoding:
    """Encoding of the data set, by its first element, which is a short one of group 0008.

    Writers that declare the default syntax whatever they write are known. Two letters taken for a
    length are beyond 16 KiB.
    """
    group, length = bytes(body[:2]), int.from_bytes(body[4:8], "little")
    little = group == b"\x08\0" or (group != b"\0\x08" and syntax != ExplicitVRBigEndian)
    if has_representation(body, 0):
        return Encoding(implicit=False, little=little)
    is_default = not syntax.is_valid or syntax == ImplicitVRLittleEndian
    return Encoding(little and (is_default or length < 2**16), little)


def _inflate(deflated: memoryview) -> bytes:
    inflater = zlib.decompressobj(window_bits(deflated))
    body = inflater.decompress(deflated, MAX_INFLATED_BYTES)
    if inflater.unconsumed_tail:
        raise ImageTooLargeError(
            f"the deflated data set is longer than {MAX_INFLATED_BYTES:,} bytes"
        )
    if not inflater.eof:
        raise TruncatedError("the deflated data set has no end: part of the file is missing")
    return body


def window_bits(deflated: bytes | memoryview) -> int:
    """Window of a deflate stream, negative unless a writer left it in a zlib wrapper."""
    wrapped = bytes(deflated[:1]) == b"\x78"  # no other begins so
    return zlib.MAX_WBITS if wrapped else -zlib.MAX_WBITS
