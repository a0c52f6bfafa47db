"""Main header and tile-parts of a JPEG 2000 (ITU-T T.800, Annex A) or HTJ2K codestream (T.814).

OpenJPEG refuses damage within a tile-part, but takes a codestream for whole that lacks some of
them: they are counted.
"""

from __future__ import annotations

import struct
from collections import Counter
from dataclasses import dataclass
from typing import Final

from solo.decoding.codecs.frame_header import FrameHeader
from solo.errors import MalformedError, TruncatedError

_START: Final = b"\xff\x4f\xff\x51"  # start of codestream, then the image and tile size
_END: Final = b"\xff\xd9"
_BOXED: Final = b"\0\0\0\x0cjP  \r\n\x87\n"
_MAX_BOX_BYTES: Final = 65_536

_SIZE: Final = 0xFF51
_CODING_STYLE: Final = 0xFF52
_CAPABILITIES: Final = 0xFF50
_TILE_PART: Final = b"\xff\x90"
_TILE_PART_LENGTHS: Final = 0xFF55
_COMMENT: Final = b"\xff\x64"
_MAX_SEGMENTS: Final = 10_000
_LEAST_TILE_PART: Final = 14  # bytes of its header
_MAX_TILES: Final = 4096  # decoders keep some kilobytes of each before the first is decoded


@dataclass(frozen=True, kw_only=True)
class Jpeg2000Header(FrameHeader):
    """Main header of a JPEG 2000 codestream.

    Attributes:
        codestream: from its start to its end, without what encloses and follows it.
    """

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
    segments, offset, announced = _main_header(data)
    if _SIZE not in segments or _CODING_STYLE not in segments:
        raise MalformedError("the JPEG 2000 codestream lacks a part of its header")
    height, width, components, depth, tiles = _image(segments[_SIZE])
    (transformation,) = struct.unpack_from(">9xB", segments[_CODING_STYLE])
    return Jpeg2000Header(
        process="HTJ2K" if _CAPABILITIES in segments else "JPEG 2000",
        height=height,
        width=width,
        components=components,
        precision=(depth & 0x7F) + 1,
        signed=depth > 0x7F,
        reversible=transformation == 1,
        codestream=data[: _end_of_tile_parts(data, offset, tiles, announced)] + _END,
    )


def _main_header(data: bytes) -> tuple[dict[int, bytes], int, int]:
    """The first segment of each marker, where the first tile-part begins, and how many follow.

    Their number is that of the tile-part lengths (A.7.1), of which there may be none.
    """
    segments: dict[int, bytes] = {}
    offset, announced = 2, 0
    for _ in range(_MAX_SEGMENTS):
        marker, length = struct.unpack_from(">HH", data, offset)
        if data[offset : offset + 2] == _TILE_PART:
            return segments, offset, announced
        if marker < 0xFF00:
            break
        segment = data[offset + 4 : offset + 2 + length]
        if marker == _TILE_PART_LENGTHS:
            announced += _lengths_in(segment)
        segments.setdefault(marker, segment)
        offset += 2 + length
    raise MalformedError("the JPEG 2000 codestream's header is damaged")


def _lengths_in(segment: bytes) -> int:
    """Number of tile-parts in a segment: the tile's number may take 0 to 2 bytes of each."""
    if len(segment) < 2:
        raise MalformedError("the JPEG 2000 codestream's header is damaged")
    sizes = segment[1]
    return (len(segment) - 2) // ((sizes >> 4 & 3) + (4 if sizes & 0x40 else 2))


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


def _end_of_tile_parts(data: bytes, offset: int, tiles: int, announced: int) -> int:
    """End of the last tile-part, if none is missing (A.4.2).

    A tile's last tile-part mostly says how many it has, and each which one it is.
    """
    found, least = Counter[int](), dict[int, int]()
    for _ in range(_MAX_SEGMENTS):
        marker = data[offset : offset + 2]
        if marker != _TILE_PART:
            break
        tile, length, number, total = struct.unpack_from(">HIBB", data, offset + 4)
        found[tile] += 1
        least[tile] = max(least.get(tile, 0), total, number + 1)
        # The last one may leave its length open.
        offset = offset + max(length, _LEAST_TILE_PART) if length else data.rfind(_END, offset)
    # A comment does not belong here, but some writers pad with it.
    if marker not in (_END, _COMMENT) or data.rfind(_END) < offset:
        raise TruncatedError("the JPEG 2000 codestream has no end: part of it is missing")
    if any(tile >= tiles for tile in found):
        raise MalformedError(
            "a tile-part of the JPEG 2000 codestream is of a tile beyond its image"
        )
    if (
        len(found) < tiles
        or found.total() < announced
        or any(found[tile] < count for tile, count in least.items())
    ):
        raise TruncatedError("the JPEG 2000 codestream lacks a tile-part: part of it is missing")
    return offset
