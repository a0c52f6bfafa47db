"""The headers of a JPEG 2000 codestream (ITU-T T.800, Annex A), HTJ2K's among them (T.814).

Decoders may return what there is of a shortened codestream, so the tile-parts are followed to its
end: each says how long it is.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from typing import Final

from app.errors import MalformedError, TruncatedError

_START: Final = b"\xff\x4f\xff\x51"  # start of codestream, then the image and tile size
_END_OF_CODESTREAM: Final = 0xFFD9
_END: Final = _END_OF_CODESTREAM.to_bytes(2, "big")
_BOXED: Final = b"\0\0\0\x0cjP  \r\n\x87\n"
_MAX_BOX_BYTES: Final = 65_536

_SIZE: Final = 0xFF51
_CODING_STYLE: Final = 0xFF52
_CAPABILITIES: Final = 0xFF50
_TILE_PART: Final = 0xFF90
_COMMENT: Final = 0xFF64
_MAX_SEGMENTS: Final = 10_000
_LEAST_TILE_PART: Final = 14  # bytes of its header
_MAX_TILES: Final = 4096  # decoders keep some kilobytes of each before the first is decoded


@dataclass(frozen=True)
class Jpeg2000Header:
    """The main header.

    Attributes:
        height: rows of the image area.
        width: columns of the image area.
        components: of the image.
        precision: bits of a sample of the first component.
        signed: whether they are signed.
        reversible: whether the 5/3 wavelet is used.
        high_throughput: whether the codestream is HTJ2K.
        codestream: from its start to its end, without what encloses and follows it.
    """

    height: int
    width: int
    components: int
    precision: int
    signed: bool
    reversible: bool
    high_throughput: bool
    codestream: bytes


def read_jpeg2000_header(data: bytes) -> Jpeg2000Header:
    """Reads the main header and follows the tile-parts.

    A JP2 file's boxes are passed over: DICOM wants none, but some writers leave them.

    Raises:
        MalformedError: for what is no codestream, or has subsampled or too many tiles.
        TruncatedError: if a tile-part or the end is missing.
    """
    if data.startswith(_BOXED):
        data = data[max(data.find(_START, 0, _MAX_BOX_BYTES), 0) :]
    if not data.startswith(_START):
        raise MalformedError("the JPEG 2000 frame does not start with a codestream")
    try:
        return _read(data)
    except struct.error:
        raise TruncatedError("the JPEG 2000 codestream ends within its header") from None


def _read(data: bytes) -> Jpeg2000Header:
    segments, offset = _main_header(data)
    if _SIZE not in segments or _CODING_STYLE not in segments:
        raise MalformedError("the JPEG 2000 codestream lacks a part of its header")
    height, width, components, depth, tiles = _image(segments[_SIZE])
    (transformation,) = struct.unpack_from(">9xB", segments[_CODING_STYLE])
    return Jpeg2000Header(
        height,
        width,
        components,
        precision=(depth & 0x7F) + 1,
        signed=depth > 0x7F,
        reversible=transformation == 1,
        high_throughput=_CAPABILITIES in segments,
        codestream=data[: _follow(data, offset, tiles)] + _END,
    )


def _main_header(data: bytes) -> tuple[dict[int, bytes], int]:
    """The first segment of each marker, and where the first tile-part begins."""
    segments: dict[int, bytes] = {}
    offset = 2
    for _ in range(_MAX_SEGMENTS):
        marker, length = struct.unpack_from(">HH", data, offset)
        if marker == _TILE_PART:
            return segments, offset
        if marker < 0xFF00:
            break
        segments.setdefault(marker, data[offset + 4 : offset + 2 + length])
        offset += 2 + length
    raise MalformedError("the JPEG 2000 codestream's header is damaged")


def _image(segment: bytes) -> tuple[int, int, int, int, int]:
    """(height, width, components, depth, tiles) of the image and tile size segment (A.5.1)."""
    fields = struct.unpack_from(">2x8IH", segment)
    right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, components = fields
    height, width = bottom - top, right - left
    if height < 1 or width < 1 or not tile_height or not tile_width:
        raise MalformedError(f"the JPEG 2000 image is {height} x {width} pixels")
    tiles = -(-(bottom - tile_top) // tile_height) * -(-(right - tile_left) // tile_width)
    if tiles > _MAX_TILES:
        raise MalformedError(f"the JPEG 2000 image has {tiles:,} tiles; at most {_MAX_TILES:,} may")
    depths = list(struct.iter_unpack(">3B", segment[36 : 36 + 3 * components]))
    if len(depths) != components or not depths or len(set(depths)) > 1 or depths[0][1:] != (1, 1):
        raise MalformedError("the JPEG 2000 image has components of different depth or size")
    return height, width, components, depths[0][0], tiles


def _follow(data: bytes, offset: int, tiles: int) -> int:
    """Where the last tile-part ends, if none is missing (A.4.2).

    A tile's last tile-part mostly says how many it has.
    """
    parts, end = _tile_parts(data, offset)
    found = Counter(tile for tile, _ in parts)
    if len(found) < tiles or any(found[tile] < count for tile, count in parts):
        raise TruncatedError("the JPEG 2000 codestream lacks a tile-part: part of it is missing")
    return end


def _tile_parts(data: bytes, offset: int) -> tuple[list[tuple[int, int]], int]:
    """(tile, number of its tile-parts or 0) of each tile-part, and where the last one ends."""
    parts: list[tuple[int, int]] = []
    while len(parts) < _MAX_SEGMENTS:
        marker = int.from_bytes(data[offset : offset + 2], "big")
        if marker == _END_OF_CODESTREAM:
            return parts, offset
        if marker == _COMMENT:  # does not belong here, but some writers pad with it
            _open_end(data, offset)
            return parts, offset
        if marker != _TILE_PART:
            break
        tile, length, count = struct.unpack_from(">HIxB", data, offset + 4)
        parts.append((tile, count))
        if length == 0:  # the last one may leave its length open
            return parts, _open_end(data, offset)
        if length < _LEAST_TILE_PART:
            raise MalformedError("a tile-part of the JPEG 2000 codestream is too short")
        offset += length
    raise TruncatedError("the JPEG 2000 codestream has no end: part of it is missing")


def _open_end(data: bytes, offset: int) -> int:
    end = data.rfind(_END)
    if end < offset:
        raise TruncatedError("the JPEG 2000 codestream has no end: part of it is missing")
    return end
