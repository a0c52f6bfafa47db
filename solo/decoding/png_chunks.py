"""PNG chunks (ISO/IEC 15948, 5.3), checked before decoding.

OpenCV allocates what a chunk announces, four gigabytes for four bytes, and libpng prints its
warnings of texts and profiles.
"""

from __future__ import annotations

import struct
from typing import Final

from solo.errors import MalformedError, TruncatedError

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"

_PIXEL_CHUNKS: Final = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
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
    """The PNG with its critical chunks only: IHDR, PLTE, IDAT and IEND.

    Texts, colour profiles, orientation and further frames are left out, alpha too.

    Raises:
        TruncatedError: if the file ends before its end chunk does.
        MalformedError: for a file of too many chunks.
    """
    kept, offset = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        if offset + _HEADER_BYTES > len(data):
            raise TruncatedError("the PNG has no end: part of the file is missing")
        length, kind = struct.unpack_from(">I4s", data, offset)
        start, offset = offset, offset + _HEADER_BYTES + length + _CHECKSUM_BYTES
        if offset > len(data):
            raise TruncatedError("the PNG ends within a chunk: part of the file is missing")
        if kind in _PIXEL_CHUNKS:
            kept.append(data[start:offset])
        if kind == b"IEND":
            return b"".join(kept)
    raise MalformedError(f"the PNG has more than {_MAX_CHUNKS:,} chunks")
