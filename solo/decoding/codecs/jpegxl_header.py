"""Image header of a JPEG XL codestream: size, depth, channels (ISO/IEC 18181-1, Annex D).

libjxl reports codestreams that end early, and is told the size and depth that it may decode: so
nothing but the header is looked at here, in the first box that looks like one of a codestream.
"""

from __future__ import annotations

import re
from typing import Final

from solo.decoding.codecs.frame_header import FrameHeader
from solo.errors import MalformedError, NotSegmentableError

_CODESTREAM: Final = b"\xff\x0a"
_CONTAINER: Final = b"\0\0\0\x0cJXL \r\n\x87\n"
_BOX: Final = re.compile(rb"jxlc|jxlp.{4}", re.DOTALL)  # with a part, which has a number
_HEADER_BYTES: Final = 64

# An integer of a two-bit choice: (offset, bits) each (B.2.2)
_Choices = tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]
_SIZE: Final[_Choices] = ((1, 9), (1, 13), (1, 18), (1, 30))
_INTEGER_DEPTH: Final[_Choices] = ((8, 0), (10, 0), (12, 0), (1, 6))
_EXTRA_CHANNELS: Final[_Choices] = ((0, 0), (1, 0), (2, 4), (1, 12))
_ENUM: Final[_Choices] = ((0, 0), (1, 0), (2, 4), (18, 6))
_RATIOS: Final = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))
_GREY: Final = 1


class _Bits:
    """Reads bits, lowest first; beyond the end there are zeros."""

    def __init__(self, data: bytes) -> None:
        self._rest = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        value = self._rest & ((1 << count) - 1)
        self._rest >>= count
        return value

    def choose(self, choices: _Choices) -> int:
        offset, count = choices[self.take(2)]
        return offset + self.take(count)


def read_jpegxl_header(data: bytes) -> FrameHeader:
    """Reads size, bit depth and channels of a codestream, bare or in its container.

    Raises:
        MalformedError: for what is no JPEG XL.
        NotSegmentableError: for animations, floating point and channels beside the colour.
    """
    box = _BOX.search(data) if data.startswith(_CONTAINER) else None
    start = box.end() if box else 0
    if data[start : start + 2] != _CODESTREAM:
        raise MalformedError("the JPEG XL frame has no codestream where it should")
    bits = _Bits(data[start + 2 : start + _HEADER_BYTES])
    height, width = _size(bits)
    components, precision = (3, 8) if bits.take(1) else _colour(bits)
    return FrameHeader(
        process="JPEG XL", height=height, width=width, components=components, precision=precision
    )


def _size(bits: _Bits) -> tuple[int, int]:
    """(height, width) of the size header (D.2)."""
    small = bits.take(1)
    height = 8 * (bits.take(5) + 1) if small else bits.choose(_SIZE)
    ratio = bits.take(3)
    if ratio:
        across, down = _RATIOS[ratio - 1]
        return height, height * across // down
    return height, 8 * (bits.take(5) + 1) if small else bits.choose(_SIZE)


def _colour(bits: _Bits) -> tuple[int, int]:
    """(components, precision) of the image metadata (D.3), where they are not the default."""
    if bits.take(1):
        bits.take(3)  # orientation, which is not applied: masks must fit the stored array
        if bits.take(1):
            _size(bits)  # the size that its maker would like it to be shown at
        if bits.take(1) or bits.take(1):
            raise NotSegmentableError("the JPEG XL frame has a preview or is an animation")
    if bits.take(1):
        raise NotSegmentableError("the JPEG XL frame has floating point samples")
    precision = bits.choose(_INTEGER_DEPTH)
    bits.take(1)  # whether 16-bit buffers suffice
    if bits.choose(_EXTRA_CHANNELS):
        raise NotSegmentableError("the JPEG XL frame has channels beside its colour")
    bits.take(1)  # whether the colour is XYB within
    grey = not bits.take(1) and not bits.take(1) and bits.choose(_ENUM) == _GREY
    return (1 if grey else 3), precision
