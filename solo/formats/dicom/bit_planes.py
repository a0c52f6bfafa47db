"""Pixel data of one bit: masks packed from their run lengths, a frame at a time (PS3.5 8.1.1).

Cells of one bit are packed without gaps, the first in the lowest bit, across rows and frames alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from solo.masks.rle import MaskRuns

Bytes = npt.NDArray[np.uint8]


def empty_frames(masks: Sequence[MaskRuns]) -> list[MaskRuns]:
    """Masks without a pixel, 15 at most, that make OHIF's reader take the frames apart rightly.

    `@cornerstonejs/adapters` 5.14.0 tells by the length of the pixel data alone whether each frame
    begins with a byte of its own, and knows nothing of the padding to an even length.

    Args:
        masks: of one size, a frame each.
    """
    height, width = masks[0].size
    pixels = height * width
    empty = MaskRuns((height, width), np.array([pixels], np.int64), 0, (0, 0, 0, 0))
    # Sixteen frames of any size fill pairs of bytes.
    frames = next(n for n in range(len(masks), len(masks) + 16) if _is_plain(n, pixels))
    return [empty] * (frames - len(masks))


def _is_plain(frames: int, pixels: int) -> bool:
    together, apart = -(-frames * pixels // 8), frames * -(-pixels // 8)
    return together % 2 == 0 and (pixels % 8 == 0 or together != apart)


def packed_bytes(masks: Sequence[MaskRuns]) -> int:
    """Bytes of all masks together, without padding."""
    height, width = masks[0].size
    return -(-len(masks) * height * width // 8)


def packed_frames(masks: Sequence[MaskRuns]) -> Iterator[bytes]:
    """The frames in pieces, one mask after the other.

    Args:
        masks: of one size; none is made whole but in bits.
    """
    height, width = masks[0].size
    pending, begun = 0, 0  # bits that do not fill a byte yet, and that byte
    for runs in masks:
        top, rows = _packed_rows(runs)
        first = pending + top * width
        pending += height * width
        frame = np.zeros(-(-pending // 8), np.uint8)
        if len(rows):
            packed = _without_gaps(rows, width, first % 8)
            frame[first // 8 : first // 8 + len(packed)] = packed
        frame[0] |= begun
        pending %= 8
        begun = int(frame[-1]) if pending else 0
        yield frame[: len(frame) - bool(pending)].tobytes()
    yield bytes([begun] if pending else [])


def _without_gaps(rows: Bytes, width: int, before: int) -> Bytes:
    """Rows in one stretch of bits.

    Args:
        rows: uint8 [n, ceil(width / 8)].
        width: bits of a row that count.
        before: how many bits come before them in their first byte, which are left 0.
    """
    if width % 8 == 0 and not before:
        return rows.ravel()
    bits = np.zeros(before + len(rows) * width, np.uint8)
    unpacked = np.unpackbits(rows, axis=1, count=width, bitorder="little")
    bits[before:] = unpacked.ravel()
    return np.packbits(bits, bitorder="little")


def _packed_rows(runs: MaskRuns) -> tuple[int, Bytes]:
    """The rows of a mask that are not empty: the first one's number, uint8 [n, ceil(width / 8)].

    Each run of a column turns its bit on in its first row and off in the one after its last, and
    all rows follow from those above them.
    """
    width = runs.size[1]
    column, start, end = runs.column_runs()
    if not len(column):
        return 0, np.zeros((0, 0), np.uint8)
    top, bottom = int(start.min()), int(end.max())
    turns = np.zeros((bottom - top + 1, -(-width // 8)), np.uint8)
    bit = np.left_shift(1, column % 8).astype(np.uint8)
    for row in (start, end):
        np.bitwise_xor.at(turns, (row - top, column // 8), bit)
    return top, np.bitwise_xor.accumulate(turns, axis=0)[:-1]
