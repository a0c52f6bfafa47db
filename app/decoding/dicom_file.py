"""The outer shape of a DICOM file: preamble, file meta information, data set.

The file meta is walked here rather than by pydicom, since a deflated data set has to be inflated
under a limit, and pydicom inflates it without one. The data set itself is pydicom's.
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
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from app.errors import (
    ImageTooLargeError,
    MalformedError,
    ServiceError,
    TruncatedError,
    UnsupportedEncodingError,
)

SUPPORTED_SYNTAXES = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
)
MAX_INFLATED_BYTES = 256 * 2**20

_PREAMBLE_BYTES = 128
_PREFIX = b"DICM"
_LONG_FORM = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT"}
_VALUE_REPRESENTATION = re.compile(rb"[A-Z]{2}")
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")
_TRANSFER_SYNTAX_ELEMENT = 0x0010
_UNDEFINED_LENGTH = 0xFFFFFFFF


@dataclass(frozen=True)
class DicomFile:
    """A parsed file.

    Attributes:
        transfer_syntax: UID of how the data set is encoded.
        dataset: its elements, not yet converted from bytes.
    """

    transfer_syntax: UID
    dataset: Dataset


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
    _check_syntax(syntax)
    body = _inflate(data[offset:]) if syntax == DeflatedExplicitVRLittleEndian else data
    stream = BytesIO(body)
    stream.seek(0 if body is not data else offset)
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    elements = {element.tag: element for element in _complete(stream, len(body), implicit, little)}
    dataset = Dataset(elements)
    dataset.set_original_encoding(implicit, little)
    return DicomFile(syntax, dataset)


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


def _check_syntax(syntax: UID) -> None:
    if syntax in SUPPORTED_SYNTAXES:
        return
    if not syntax.is_valid:
        raise MalformedError("the DICOM file's transfer syntax is not a valid UID")
    name = syntax.name if syntax.name != syntax else "unknown to this service"
    raise UnsupportedEncodingError(
        f"transfer syntax {syntax} ({name}) is not supported; supported are "
        + ", ".join(f"{known} ({known.name})" for known in SUPPORTED_SYNTAXES)
    )


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
    """The elements of a data set, all of them whole: pydicom passes over an early end."""
    end = stream.tell()
    for element in data_element_generator(stream, implicit, little):
        if (
            isinstance(element, RawDataElement)
            and element.length != _UNDEFINED_LENGTH
            and element.value_tell + element.length > length
        ):
            raise TruncatedError("the DICOM file ends within an element")
        end = stream.tell()
        yield element
    stream.seek(end)
    if any(stream.read()):  # a file may be padded with zeros
        raise TruncatedError("the DICOM file ends within an element")
