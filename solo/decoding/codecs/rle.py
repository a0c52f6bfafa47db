"""RLE Lossless decoding (PS3.5 Annex G), bounded by the size in the DICOM header."""

from __future__ import annotations

import struct
from contextlib import suppress
from itertools import pairwise

import imagecodecs
import numpy as np
import numpy.typing as npt

from solo.errors import MalformedError, TruncatedError

_HEADER_BYTES = 64
_MAX_SEGMENTS = 15


def begins_segments(frame: bytes | memoryview) -> bool:
    """Whether a frame begins with a header of RLE segments that fits it (PS3.5 G.5)."""
    if len(frame) < _HEADER_BYTES:
        return False
    count, *offsets = struct.unpack_from("<16L", frame)
    if not 1 <= count <= _MAX_SEGMENTS:
        return False
    used = offsets[:count]
    return (
        used[0] == _HEADER_BYTES
        and all(start < end for start, end in pairwise([*used, len(frame)]))
        and not any(offsets[count:])
    )


def decode_segments(frame: bytes, segments: int, length: int) -> list[npt.NDArray[np.uint8]]:
    """Decodes the RLE segments of one frame.

    Args:
        frame: the encapsulated frame.
        segments: how many byte planes it must have: samples x bytes per sample, highest byte first.
        length: bytes of a decoded plane, rows x columns.

    Returns:
        uint8 [N] of each plane: what its segment decodes to, which may not be `length`.

    Raises:
        MalformedError: if the header lies, or a segment is damaged or more than twice as long.
        TruncatedError: if the header ends early.
    """
    if len(frame) < _HEADER_BYTES:
        raise TruncatedError(f"the RLE frame ends within its header, after {len(frame)} bytes")
    count, *offsets = struct.unpack_from("<16L", frame)
    if count != segments:
        raise MalformedError(f"the RLE frame has {count} segments, but its image needs {segments}")
    ends = [*offsets[1:segments], len(frame)]
    planes = []
    for start, end in zip(offsets[:segments], ends, strict=True):
        if not _HEADER_BYTES <= start <= end <= len(frame):
            raise MalformedError("the RLE frame's segments lie outside of it")
        planes.append(_unpack(frame[start:end], length))
    return planes


def _unpack(segment: bytes, length: int) -> npt.NDArray[np.uint8]:
    """PackBits (PS3.5 G.3.2), of which two bytes may stand for 128."""
    for room in (length, 2 * length):  # more than a plane is seldom
        plane = np.empty(room, np.uint8)
        with suppress(imagecodecs.PackbitsError):
            return plane[: len(imagecodecs.packbits_decode(segment, out=plane.data))]
    raise MalformedError(f"an RLE segment is damaged or holds more than its {length:,} bytes")
