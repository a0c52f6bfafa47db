"""Pixel data of one bit: masks packed from their run lengths, a frame at a time (PS3.5 8.1.1).

Cells of one bit are packed without gaps, the first in the lowest bit, across rows and frames alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from solo.masks.rle import MaskRuns

Bytes = npt.NDArray[np.uint8]


def packed_bytes(masks: Sequence[MaskRuns]) -> int:
    """Bytes of all masks together, without padding."""
    height, width = masks[0].size
    return -(-len(masks) * height * width // 8)


def packed_frames(masks: Sequence[MaskRuns]) -> Iterator[bytes]:
    """The frames in pieces, one mask after the other.

    Args:
        masks: of one size; none is made whole but in bits.
    """
    width = masks[0].size[1]
    left = np.zeros(0, np.uint8)  # bits that do not fill a byte yet
    for runs in masks:
        rows = _packed_rows(runs)
        if width % 8 == 0:  # all frames begin with a byte
            yield rows.tobytes()
            continue
        bits = np.unpackbits(rows, axis=1, count=width, bitorder="little").ravel()
        bits = np.concatenate([left, bits])
        whole = len(bits) // 8 * 8
        left = bits[whole:]
        yield np.packbits(bits[:whole], bitorder="little").tobytes()
    yield np.packbits(left, bitorder="little").tobytes()


def _packed_rows(runs: MaskRuns) -> Bytes:
    """A mask with each row in bytes of its own: uint8 [height, ceil(width / 8)].

    Each run of a column turns its bit on in its first row and off in the one after its last, and
    all rows follow from those above them.
    """
    height, width = runs.size
    column, start, end = runs.column_runs()
    turns = np.zeros((height + 1, -(-width // 8)), np.uint8)
    bit = np.left_shift(1, column % 8).astype(np.uint8)
    for row in (start, end):
        np.bitwise_xor.at(turns, (row, column // 8), bit)
    if not len(column):
        return turns[:height]
    top, bottom = int(start.min()), int(end.max())
    np.bitwise_xor.accumulate(turns[top : bottom + 1], axis=0, out=turns[top : bottom + 1])
    return turns[:height]
