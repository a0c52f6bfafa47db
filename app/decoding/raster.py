"""PNG and JPEG radiographs.

OpenCV decodes; what a header promises is checked first, since a few hundred bytes may ask for
gigabytes. Orientation tags are ignored: masks must fit the array that the caller has.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import cv2
import numpy as np

from app.decoding.png_chunks import pixel_chunks, png_size
from app.decoding.radiograph import FileKind, GreyRecipe, Limits, Radiograph
from app.errors import (
    InvalidParameterError,
    MalformedError,
    TruncatedError,
    UnsupportedEncodingError,
)
from model.contract.grey import Grey, as_grey, luminance, stretch

JPEG_SIGNATURE = b"\xff\xd8\xff"
JPEG_END = b"\xff\xd9"

_START_OF_SCAN = 0xDA
_STANDALONE = {0x01, *range(0xD0, 0xD8)}  # markers without a length: TEM and restarts
_START_OF_FRAME = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # these three are tables
_DECODABLE_FRAMES = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive"}


class JpegHeader(NamedTuple):
    """What comes before the first scan; `scan_offset` in bytes from the start of the file."""

    height: int
    width: int
    scan_offset: int


def decode_png(data: bytes, limits: Limits, frame: int) -> Radiograph:
    """Decodes a PNG. 8 bits are grey as stored; 16 bits are stretched between percentiles.

    Files of 16 bits mostly hold the 10 to 14 bits of a detector and would be nearly black.
    """
    _single(frame)
    height, width = png_size(data)
    limits.check(height, width)
    pixels = _decode(pixel_chunks(data), "png")
    return _radiograph(pixels, (height, width), "png")


def decode_jpeg(data: bytes, limits: Limits, frame: int) -> Radiograph:
    """Decodes a JPEG of 8 bits, whose values are grey as stored."""
    _single(frame)
    header = _jpeg_header(data)
    limits.check(header.height, header.width)
    # libjpeg fills what is missing with grey and reports success.
    if data.rfind(JPEG_END) < header.scan_offset:
        raise TruncatedError("the JPEG has no end: part of the file is missing")
    return _radiograph(_decode(data, "jpeg"), (header.height, header.width), "jpeg")


def _single(frame: int) -> None:
    if frame != 0:
        raise InvalidParameterError(f"frame is {frame}, but the file has one frame, number 0")


def _jpeg_header(data: bytes) -> JpegHeader:
    """Walks the marker segments up to the first scan (ITU-T T.81, B.1.1)."""
    offset, size = 2, None
    while offset + 4 <= len(data):
        if data[offset] != 0xFF:
            raise MalformedError("the JPEG's header is damaged: a marker is missing")
        marker = data[offset + 1]
        if marker == 0xFF or marker in _STANDALONE:  # 0xFF may fill the space before a marker
            offset += 1 if marker == 0xFF else 2
            continue
        if marker == _START_OF_SCAN:
            if size is None:
                raise MalformedError("the JPEG has no frame header before its scan")
            return JpegHeader(*size, offset)
        if marker in _START_OF_FRAME:
            size = _frame_size(data, offset, marker)
        offset += 2 + int.from_bytes(data[offset + 2 : offset + 4], "big")
    raise TruncatedError(f"the JPEG ends within its header, after {len(data):,} bytes")


def _frame_size(data: bytes, offset: int, marker: int) -> tuple[int, int]:
    """(height, width) of a start-of-frame segment (ITU-T T.81, B.2.2)."""
    if len(data) < offset + 9:
        raise TruncatedError(f"the JPEG ends within its header, after {len(data):,} bytes")
    precision, height, width = struct.unpack_from(">BHH", data, offset + 4)
    if marker not in _DECODABLE_FRAMES or precision != 8:
        raise UnsupportedEncodingError(
            f"JPEG process SOF{marker - 0xC0} with {precision} bits is not supported: "
            "only baseline, extended and progressive with 8 bits are"
        )
    return height, width


def _decode(data: bytes, kind: FileKind) -> Grey:
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None:
        raise MalformedError(f"the {kind.upper()} cannot be decoded: its data are damaged")
    return as_grey(pixels)


def _radiograph(decoded: Grey, size: tuple[int, int], kind: FileKind) -> Radiograph:
    if decoded.shape[:2] != size:
        raise MalformedError(
            f"the {kind.upper()} holds {decoded.shape[:2]} pixels, but its header says {size}"
        )
    pixels = stretch(luminance(decoded))
    recipe: GreyRecipe = "as_stored" if pixels.dtype == np.uint8 else "percentiles"
    return Radiograph(pixels, None, recipe, frame=0, kind=kind, encoding=kind)
