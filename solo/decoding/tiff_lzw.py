"""LZW decompression of TIFF strips and tiles (TIFF 6.0, section 13) by libtiff.

The decoder that imagecodecs has of its own, which tifffile uses, is not asked: where a stream is
damaged it reads entries of its table that it has not written, and at times dies of them.
"""

from __future__ import annotations

import struct

import imagecodecs


def decompress_lzw(stream: bytes, sizes: tuple[int, ...]) -> memoryview:
    """Decompresses a stream that gives one of the sizes, in bytes, and not a byte more.

    There is no checksum: that the stream ends where it should is what tells most damage.

    Returns:
        The bytes; none where the stream is damaged.
    """
    for size in sizes:
        # That there are no more is asked first: two such results at once are much memory.
        if not _first_bytes(stream, size + 1) and (found := _first_bytes(stream, size)):
            return found
    return memoryview(b"")


def _first_bytes(stream: bytes, size: int) -> memoryview:
    """So many bytes by libtiff, which are given to it as the only row of a TIFF; or none."""
    tags = {256: size, 257: 1, 258: 8, 259: 5, 262: 1, 273: 122, 277: 1, 278: 1, 279: len(stream)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    try:
        return memoryview(imagecodecs.tiff_decode(head + stream).ravel().data)
    except Exception:  # its text is the library's
        return memoryview(b"")
