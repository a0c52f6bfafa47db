"""RLE Lossless decoding (PS3.5 Annex G), bounded by the size in the DICOM header."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import numpy.typing as npt

from solo.errors import MalformedError, TruncatedError

_HEADER_BYTES = 64


def decode_segments(frame: bytes, segments: int, length: int) -> npt.NDArray[np.uint8]:
    """Decodes the RLE segments of one frame.

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
        _unpack(frame[start:end], plane)
    return planes


def _unpack(segment: bytes, plane: npt.NDArray[np.uint8]) -> None:
    """PackBits (PS3.5 G.3.2) into exactly one plane: two bytes may stand for 128.

    A header that promises a smaller image than there is would shear its rows.
    """
    try:
        decoded = len(imagecodecs.packbits_decode(segment, out=plane.data))
    except imagecodecs.PackbitsError:
        raise MalformedError(
            f"an RLE segment is damaged or holds more than its {len(plane):,} bytes"
        ) from None
    if decoded < len(plane):
        raise TruncatedError(f"an RLE segment ends after {decoded:,} of {len(plane):,} bytes")
