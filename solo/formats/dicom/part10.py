"""DICOM file format (PS3.10): a data set of ours with raw elements of the film, written once.

pydicom converts raw elements when it writes a whole data set, so elements are written one by one.
Pixel data come in pieces, and are compressed as they come: a stack of masks is never in memory.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element, write_file_meta_info
from pydicom.tag import Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from solo.formats.dicom.modules import VERSION
from solo.formats.dicom.uids import IMPLEMENTATION_CLASS_UID

_PREAMBLE: Final = bytes(128) + b"DICM"
_PIXEL_DATA: Final = b"\xe0\x7f\x10\x00"
# Masks are mostly runs of one byte: what looks for these alone is faster, and no larger.
_DEFLATE: Final = (1, zlib.DEFLATED, -zlib.MAX_WBITS, 8, zlib.Z_RLE)
_UNDEFINED: Final = 0xFFFFFFFF


def file_pieces(
    dataset: Dataset,
    copied: Mapping[int, bytes],
    syntax: UID,
    pixels: Iterable[bytes] = (),
    pixel_bytes: int | None = None,
) -> Iterator[bytes]:
    """A DICOM file in explicit VR little endian, in pieces.

    Args:
        dataset: its elements but for the pixel data.
        copied: raw values by tag, which take precedence.
        syntax: its transfer syntax.
        pixels: the value of Pixel Data, in OB, in pieces.
        pixel_bytes: their length; None for none, 0 for encapsulated pixels.
    """
    body = _elements(dataset, copied)
    if pixel_bytes is not None:
        length = (pixel_bytes + pixel_bytes % 2) or _UNDEFINED
        body += _PIXEL_DATA + b"OB\0\0" + length.to_bytes(4, "little")
    yield _PREAMBLE + _meta(dataset, syntax)
    pieces = _in_order(body, pixels, (pixel_bytes or 0) % 2)
    yield from _deflated(pieces) if syntax == DeflatedExplicitVRLittleEndian else pieces


def _in_order(body: bytes, pixels: Iterable[bytes], padding: int) -> Iterator[bytes]:
    yield body
    yield from pixels
    yield bytes(padding)


def _deflated(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Deflates a data set (PS3.5 A.5), with a zero behind it where its length would be odd."""
    deflater, length = zlib.compressobj(*_DEFLATE), 0
    for piece in pieces:
        yield (some := deflater.compress(piece))
        length += len(some)
    rest = deflater.flush()
    yield rest + bytes((length + len(rest)) % 2)


def _meta(dataset: Dataset, syntax: UID) -> bytes:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = syntax
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = f"SOLO_{VERSION}"[:16]
    file = _file()
    write_file_meta_info(file, meta)
    return file.getvalue()


def _elements(dataset: Dataset, copied: Mapping[int, bytes]) -> bytes:
    file = _file()
    for tag in sorted({*dataset.keys(), *map(Tag, copied)}):
        if tag in copied:
            write_data_element(file, _raw(tag, copied[tag]))
        else:
            write_data_element(file, dataset[tag])
    return file.getvalue()


def _raw(tag: int, value: bytes) -> RawDataElement:
    representation = dictionary_VR(tag)
    if len(value) % 2:
        value += b"\0" if representation == "UI" else b" "
    return RawDataElement(Tag(tag), representation, len(value), value, 0, False, True)


def _file() -> DicomBytesIO:
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = False, True
    return file
