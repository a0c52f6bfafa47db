"""DICOM files of compressed frames, encoded by imagecodecs or given as they are."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import imagecodecs
import numpy as np
import numpy.typing as npt
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from solo.decoding.dicom.transfer_syntaxes import (
    JPEGXL,
    DeflatedImageFrame,
    EncapsulatedUncompressed,
    JPEGXLLossless,
)
from tests.support.dicom import Pixels, dicom_file

Frame = npt.NDArray[Any]
Encoder = Callable[[Frame], bytes | bytearray]

_ITEM: Final = 0xE000FFFE
_DELIMITER: Final = struct.pack("<II", 0xE0DDFFFE, 0)


def as_deep(encode: Callable[..., bytes | bytearray], **options: Any) -> Encoder:
    """An encoder that writes 8 bits of uint8, and 12 bits of uint16 where they suffice."""

    def encoder(frame: Frame) -> bytes | bytearray:
        bits = 8 if frame.dtype.itemsize == 1 else 12 if frame.max() < 4096 else 16
        return encode(np.ascontiguousarray(frame), bitspersample=bits, **options)

    return encoder


def _deflate(frame: Frame) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(frame.tobytes()) + packer.flush()


_JPEG_2000: Final = {"codecformat": "j2k", "level": 0}
EXACT: Final[dict[UID, Encoder]] = {
    EncapsulatedUncompressed: lambda frame: frame.tobytes(),
    DeflatedImageFrame: _deflate,
    JPEGLossless: as_deep(imagecodecs.jpeg8_encode, lossless=True, predictor=4),
    JPEGLosslessSV1: as_deep(imagecodecs.jpeg8_encode, lossless=True, predictor=1),
    JPEGLSLossless: imagecodecs.jpegls_encode,
    JPEG2000Lossless: as_deep(imagecodecs.jpeg2k_encode, reversible=True, **_JPEG_2000),
    JPEG2000: as_deep(imagecodecs.jpeg2k_encode, reversible=True, **_JPEG_2000),
    HTJ2KLossless: partial(imagecodecs.htj2k_encode, reversible=True),
    HTJ2KLosslessRPCL: partial(imagecodecs.htj2k_encode, reversible=True, tlm=True),
    JPEGXLLossless: as_deep(imagecodecs.jpegxl_encode, lossless=True, effort=1),
}
"""Encoders of uint8 and uint16 without loss."""

LOSSY: Final[dict[UID, Encoder]] = {
    JPEGExtended12Bit: as_deep(imagecodecs.jpeg8_encode, level=98),
    JPEGLSNearLossless: partial(imagecodecs.jpegls_encode, level=2),
    JPEG2000: as_deep(imagecodecs.jpeg2k_encode, codecformat="j2k", level=60, reversible=False),
    HTJ2K: partial(imagecodecs.htj2k_encode, reversible=False, level=0.0002),
    JPEGXL: as_deep(imagecodecs.jpegxl_encode, distance=0.3, effort=3),
}
"""Encoders of 12 bits with a small loss."""

BASELINE: Final[dict[UID, Encoder]] = {
    JPEGBaseline8Bit: partial(imagecodecs.jpeg8_encode, level=98),
    JPEGExtended12Bit: partial(imagecodecs.jpeg8_encode, level=98),
}
"""Encoders of 8 bits with a small loss."""


def encapsulated_file(
    frames: Sequence[bytes | bytearray],
    syntax: UID,
    like: Pixels,
    *,
    fragment_bytes: int | None = None,
    offset_table: bool = False,
    extended: bool = False,
    **elements: Any,
) -> bytes:
    """A DICOM file whose frames are given encoded.

    Args:
        frames: codestreams.
        syntax: transfer syntax, one that pydicom does not know among them.
        like: what the header describes: [H, W], [N, H, W], or [H, W, 3] with `SamplesPerPixel=3`.
        fragment_bytes: longest fragment, even; one fragment a frame if absent.
        offset_table: whether the basic offset table is filled in.
        extended: whether there is an extended offset table.
        **elements: values by keyword, in place of the defaults.
    """
    fragments = [_fragments(frame, fragment_bytes) for frame in frames]
    lengths = [sum(8 + len(one) for one in some) for some in fragments]
    offsets = [sum(lengths[:index]) for index in range(len(frames))]
    if extended:
        elements["ExtendedOffsetTable"] = struct.pack(f"<{len(offsets)}Q", *offsets)
        elements["ExtendedOffsetTableLengths"] = struct.pack(f"<{len(frames)}Q", *map(len, frames))
    head = _with_syntax(dicom_file(like, without=("PixelData",), **elements), syntax)
    table = struct.pack(f"<{len(offsets)}I", *offsets) if offset_table else b""
    items = b"".join(_item(one) for one in [table, *(one for some in fragments for one in some)])
    element = struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF)
    return head + element + items + _DELIMITER


def encoded_file(pixels: Pixels, syntax: UID, encode: Encoder, **options: Any) -> bytes:
    """A DICOM file of one encoded frame."""
    return encapsulated_file([encode(pixels)], syntax, pixels, **options)


def _fragments(frame: bytes | bytearray, size: int | None) -> list[bytes]:
    padded = bytes(frame) + bytes(len(frame) % 2)
    step = size or len(padded)
    return [padded[start : start + step] for start in range(0, len(padded), step)]


def _item(value: bytes) -> bytes:
    return struct.pack("<II", _ITEM, len(value)) + value


def _with_syntax(data: bytes, syntax: UID) -> bytes:
    old, new = _uid(ExplicitVRLittleEndian), _uid(syntax)
    start = data.index(old)
    (group_length,) = struct.unpack_from("<I", data, 140)
    group_length += len(new) - len(old)
    return (
        data[:140]
        + struct.pack("<I", group_length)
        + data[144:start]
        + new
        + data[start + len(old) :]
    )


def _uid(syntax: UID) -> bytes:
    value = syntax.encode() + bytes(len(syntax) % 2)
    return struct.pack("<HH2sH", 0x0002, 0x0010, b"UI", len(value)) + value
