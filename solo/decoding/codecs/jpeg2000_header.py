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
from solo.decoding.codecs.jpeg2000_grid import check_grid
from solo.errors import MalformedError, TruncatedError

_START: Final = b"\xff\x4f\xff\x51"  # start of codestream, then the image and tile size
_END: Final = b"\xff\xd9"
_BOXED: Final = b"\0\0\0\x0cjP  \r\n\x87\n"
_MAX_BOX_BYTES: Final = 65_536

_SIZE: Final = 0xFF51
_CODING_STYLE: Final = 0xFF52
_COMPONENT_STYLE: Final = 0xFF53
_CAPABILITIES: Final = 0xFF50
_TILE_PART: Final = b"\xff\x90"
_TILE_PART_LENGTHS: Final = 0xFF55
_COMMENT: Final = b"\xff\x64"
_STYLE_BYTES: Final = 64  # of a coding style, at most
_MAX_SEGMENTS: Final = 100_000  # of all headers
_TILE_PART_BYTES: Final = 12  # of its first segment
_LEAST_TILE_PART: Final = 14  # bytes of its header
_START_OF_DATA: Final = b"\xff\x93"
_MAX_TILES: Final = 4096  # decoders keep some kilobytes of each before the first is decoded

_Segment = tuple[int, memoryview]  # marker and contents


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
    segments = list[_Segment]()
    offset = _follow(memoryview(data), 2, _TILE_PART, segments)
    main = dict(reversed(segments))  # the first of each
    if _SIZE not in main or _CODING_STYLE not in main:
        raise MalformedError("the JPEG 2000 codestream lacks a part of its header")
    height, width, components, depth, tiles = _image(main[_SIZE])
    (transformation,) = struct.unpack_from(">9xB", main[_CODING_STYLE])
    end = _end_of_tile_parts(data, offset, tiles, segments)
    defaults, of_components = (
        [bytes(contents[:_STYLE_BYTES]) for marker, contents in segments if marker == kind]
        for kind in (_CODING_STYLE, _COMPONENT_STYLE)
    )
    check_grid(main[_SIZE], defaults, of_components)
    return Jpeg2000Header(
        process="HTJ2K" if _CAPABILITIES in main else "JPEG 2000",
        height=height,
        width=width,
        components=components,
        precision=(depth & 0x7F) + 1,
        signed=depth > 0x7F,
        reversible=transformation == 1,
        codestream=data[:end] + _END,
    )


def _follow(data: memoryview, offset: int, end: bytes, into: list[_Segment]) -> int:
    """Appends the segments of a header up to a marker, and returns where that is."""
    while data[offset : offset + 2] != end:
        marker, length = struct.unpack_from(">HH", data, offset)
        if marker < 0xFF00 or len(into) == _MAX_SEGMENTS:
            raise MalformedError("the JPEG 2000 codestream's header is damaged")
        into.append((marker, data[offset + 4 : offset + 2 + length]))
        offset += 2 + length
    return offset


def _lengths_in(segment: memoryview) -> int:
    """Number of tile-parts in a segment: the tile's number may take 0 to 2 bytes of each."""
    if len(segment) < 2:
        raise MalformedError("the JPEG 2000 codestream's header is damaged")
    sizes = segment[1]
    return (len(segment) - 2) // ((sizes >> 4 & 3) + (4 if sizes & 0x40 else 2))


def _image(segment: memoryview) -> tuple[int, int, int, int, int]:
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


def _end_of_tile_parts(data: bytes, offset: int, tiles: int, segments: list[_Segment]) -> int:
    """End of the last tile-part, if none is missing (A.4.2); their headers' segments are appended.

    A tile's last tile-part mostly says how many it has, and each which one it is. So may the
    tile-part lengths (A.7.1). Where all are told, and are there, no end has to follow.
    """
    announced = sum(_lengths_in(part) for kind, part in segments if kind == _TILE_PART_LENGTHS)
    found, least, told = Counter[int](), dict[int, int](), set[int]()
    for _ in range(_MAX_SEGMENTS):
        marker = data[offset : offset + 2]
        if marker != _TILE_PART:
            break
        tile, length, number, total = struct.unpack_from(">HIBB", data, offset + 4)
        found[tile] += 1
        least[tile] = max(least.get(tile, 0), total, number + 1)
        if total or announced:
            told.add(tile)
        start = offset
        # The last one may leave its length open.
        offset = offset + max(length, _LEAST_TILE_PART) if length else data.rfind(_END, offset)
        _follow(memoryview(data)[:offset], start + _TILE_PART_BYTES, _START_OF_DATA, segments)
    # A comment does not belong here, but some writers pad with it.
    ended = marker in (_END, _COMMENT) and data.rfind(_END) >= offset
    # Zeros that DICOM fills up with could stand for a last byte that is missing.
    if not ended and not (told == found.keys() and len(data.rstrip(b"\0")) == offset):
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
