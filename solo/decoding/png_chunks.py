"""PNG chunks (ISO/IEC 15948, 5.3), checked before decoding.

OpenCV allocates what a chunk announces, four gigabytes for four bytes, and libpng prints its
warnings of texts and profiles.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

import imagecodecs
import numpy as np

from solo.errors import MalformedError, TruncatedError

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_BEFORE_PIXELS: Final = (b"IHDR", b"PLTE")
_CHANNELS: Final = {2: 3, 4: 2, 6: 4}  # of a colour type; else 1
_MUCH: Final = 16  # times smaller than no noisy film is packed
_MOST_STORED_BYTES: Final = 2**28
_STORED: Final = 8192  # bytes that have less than one of frame when they are stored (RFC 1951)
_MARGIN: Final = 1024  # bytes that some writers leave behind the last row
_MAX_CHUNKS: Final = 100_000
_HEADER_BYTES: Final = 8  # length and type
_CHECKSUM_BYTES: Final = 4
_IHDR_END: Final = 33


def png_size(data: bytes) -> tuple[int, int]:
    """(height, width) of the IHDR chunk.

    Raises:
        TruncatedError: if the file ends within it.
        MalformedError: if another chunk comes first.
    """
    if len(data) < _IHDR_END:
        raise TruncatedError(f"the PNG ends within its header, after {len(data)} bytes")
    if data[8:16] != b"\0\0\0\x0dIHDR":
        raise MalformedError("the PNG does not start with its header")
    width, height = struct.unpack_from(">II", data, 16)
    return height, width


def pixel_chunks(data: bytes) -> bytes:
    """The PNG with its critical chunks only, IHDR, PLTE, IDAT and IEND, and its stream checked.

    Texts, colour profiles, orientation and further frames are left out, alpha too. libpng would
    inflate what follows the last row, however much; an image whose stream is whole needs no end.

    Raises:
        TruncatedError: if the file ends within a chunk, or has neither an end nor whole pixels.
        MalformedError: for a file of too many chunks, or whose pixels are damaged.
        MemoryError: if there is not enough of it.
    """
    kept, streams, ended, offset = [PNG_SIGNATURE], list[bytes](), False, len(PNG_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        if ended or offset + _HEADER_BYTES > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, offset)
        start, offset = offset + _HEADER_BYTES, offset + _HEADER_BYTES + length + _CHECKSUM_BYTES
        if offset > len(data):
            raise TruncatedError("the PNG ends within a chunk: part of the file is missing")
        if kind == b"IDAT":
            streams.append(data[start : start + length])
        elif kind in _BEFORE_PIXELS:
            kept.append(data[start - _HEADER_BYTES : offset])
        ended = kind == b"IEND"
    else:
        raise MalformedError(f"the PNG has more than {_MAX_CHUNKS:,} chunks")
    try:
        stream = _cheap_stream(data, streams)
    except imagecodecs.DeflateError:
        if not ended:
            raise TruncatedError("the PNG has no end: part of the file is missing") from None
        raise MalformedError("the PNG cannot be decoded: its data are damaged") from None
    return b"".join([*kept, *_chunk(b"IDAT", stream), *_chunk(b"IEND", b"")])


def _cheap_stream(data: bytes, pieces: list[bytes]) -> bytes | bytearray:
    """A zlib stream of the image's rows, which libpng inflates in no time. Empties the pieces."""
    packed = b"".join(pieces)
    pieces.clear()
    rows, size = _inflated(data, packed), len(packed)
    # Packed well, libpng is as fast with them packed. And beside more, OpenCV, which holds colours
    # twice, would pass what a decoder may take.
    if len(rows) >= _MUCH * size or len(rows) > _MOST_STORED_BYTES:
        return packed
    del packed  # of a noisy film it is as large as the rows
    # What the encoder allocates itself, it copies.
    room = bytearray(len(rows) + len(rows) // _STORED + _MARGIN)
    return imagecodecs.deflate_encode(rows, level=0, out=room)


def _inflated(data: bytes, stream: bytes) -> bytes | bytearray:
    """What a zlib stream of the image's rows holds, if that is not more than they may take."""
    height, width = png_size(data)
    depth, colours, interlaced = data[24], data[25], data[28]
    row_bytes = -(-width * depth * _CHANNELS.get(colours, 1) // 8)
    # Each row has a filter type. Interlaced ones are twice as many, and may end within a byte.
    room = np.empty(height * (row_bytes + 4) + _MARGIN, np.uint8)
    rows = imagecodecs.deflate_decode(stream, out=room.data)
    return rows if interlaced else rows[: height * (row_bytes + 1)]


def _chunk(kind: bytes, contents: bytes | bytearray) -> tuple[bytes, bytes | bytearray, bytes]:
    checksum = zlib.crc32(contents, zlib.crc32(kind))
    return struct.pack(">I4s", len(contents), kind), contents, struct.pack(">I", checksum)
