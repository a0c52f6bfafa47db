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


def pixel_chunks(data: bytes) -> tuple[bytes, int, int]:
    """The PNG with its critical chunks only, and its height and width.

    Texts, colour profiles, orientation and further frames are left out, alpha too.

    Raises:
        TruncatedError: if the file ends before its end chunk.
        MalformedError: for a file of too many chunks, or if another than IHDR comes first.
    """
    kept, kind, offset = [PNG_SIGNATURE], b"", len(PNG_SIGNATURE)
    for _ in range(_MAX_CHUNKS):
        if kind == b"IEND":
            break
        length, kind = (
            int.from_bytes(data[offset : offset + 4], "big"),
            data[offset + 4 : offset + 8],
        )
        start, offset = offset, offset + 12 + length  # its length, kind and checksum have 4 each
        if offset > len(data):
            raise TruncatedError("the PNG ends within a chunk: part of the file is missing")
        if kind in _PIXEL_CHUNKS:
            kept.append(data[start:offset])
    else:
        raise MalformedError(f"the PNG has more than {_MAX_CHUNKS:,} chunks")
    if kept[1][:8] != b"\0\0\0\x0dIHDR":
        raise MalformedError("the PNG does not start with its header")
    width, height = struct.unpack_from(">II", kept[1], 8)
    return b"".join(kept), height, width
