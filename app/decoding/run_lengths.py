"""DICOM's run-length coding (PS3.5 Annex G), bounded by what the header promised.

A run of two bytes may stand for 128, so output is counted while it grows.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

from app.errors import MalformedError, TruncatedError

_HEADER_BYTES = 64
_PADDING = b"\x00\x80"  # up to an even length; 0x80 is "no operation"


def decode_segments(frame: bytes, segments: int, length: int) -> npt.NDArray[np.uint8]:
    """Decodes one frame.

    Args:
        frame: the encapsulated frame.
        segments: how many byte planes it must have: samples x bytes per sample, highest byte first.
        length: bytes of a decoded plane, rows x columns.

    Returns:
        uint8 [segments, length].

    Raises:
        MalformedError: if the header lies.
        TruncatedError: if a plane ends early.
    """
    if len(frame) < _HEADER_BYTES:
        raise TruncatedError(f"the RLE frame ends within its header, after {len(frame)} bytes")
    count, *offsets = struct.unpack_from("<16L", frame)
    if count != segments:
        raise MalformedError(f"the RLE frame has {count} segments, but its image needs {segments}")
    ends = [*offsets[1:segments], len(frame)]
    planes = np.empty((segments, length), np.uint8)
    for plane, start, end in zip(planes, offsets[:segments], ends, strict=True):
        if not _HEADER_BYTES <= start <= end <= len(frame):
            raise MalformedError("the RLE frame's segments lie outside of it")
        plane[:] = np.frombuffer(_unpack(frame[start:end], length), np.uint8)
    return planes


def _unpack(segment: bytes, length: int) -> bytearray:
    """PackBits (PS3.5 G.3.2): exactly `length` bytes."""
    output = bytearray()
    position, end = 0, len(segment)
    while len(output) < length and position < end:
        control = segment[position]
        if control < 128:
            output += segment[position + 1 : position + 2 + control]
            position += control + 2
        elif control > 128:
            output += segment[position + 1 : position + 2] * (257 - control)
            position += 2
        else:
            position += 1
    if len(output) < length:
        raise TruncatedError(f"an RLE segment ends after {len(output):,} of {length:,} bytes")
    # A header that promises a smaller image than there is would shear its rows.
    if len(output) > length or segment[position:].strip(_PADDING):
        raise MalformedError(f"an RLE segment holds more than its {length:,} bytes")
    return output
