"""COCO's compressed run lengths, read from strangers: checked, and each mask in one spelling."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from solo.masks.crossings import Integers
from solo.masks.rle import MaskRuns

_MOST_LETTERS: Final = 7  # of a number; a film has fewer than 2 to the 34 pixels


def read_compressed(text: str, size: tuple[int, int]) -> MaskRuns:
    """Reads a mask.

    pycocotools checks nothing of what it decodes, and writes beyond its memory for a hostile text.

    Args:
        text: COCO's compressed run lengths, ASCII.
        size: (height, width) of the image.

    Returns:
        The mask; runs of no length, which some tools write, are none of its own.

    Raises:
        ValueError: for what is not of this form, or not of an image of that size.
    """
    pixels = size[0] * size[1]
    counts = _numbers(text)
    if counts.min() < 0 or counts.max() > pixels or counts.sum() != pixels:
        raise ValueError("its run lengths do not add up to its film")
    ends = np.cumsum(counts)
    edges = ends[: len(ends) // 2 * 2].reshape(-1, 2)
    edges = edges[edges[:, 0] < edges[:, 1]]
    if not len(edges):
        return MaskRuns(size, np.array([pixels]), 0, (0, 0, 0, 0))
    apart = edges[1:, 0] > edges[:-1, 1]
    first, last = edges[np.append(True, apart), 0], edges[np.append(apart, True), 1]
    bounds = np.column_stack([first, last]).ravel()
    bounds = bounds if bounds[-1] == pixels else np.append(bounds, pixels)
    area = int((last - first).sum())
    runs = MaskRuns(size, np.diff(bounds, prepend=0), area, (0, 0, 0, 0))
    column, start, end = runs.column_runs()
    left, top = int(column[0]), int(start.min())
    return replace(runs, bbox=(left, top, int(column[-1]) + 1 - left, int(end.max()) - top))


def _numbers(text: str) -> Integers:
    """Five bits a letter, lowest first; from the fourth number on a difference to two before."""
    letters = np.frombuffer(text.encode(), np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero(letters & 32 == 0)
    begins = np.append(0, ends[:-1] + 1)
    if not len(ends) or ends[-1] != len(letters) - 1 or (ends - begins).max() >= _MOST_LETTERS:
        raise ValueError("it is not in COCO's compressed run lengths")
    if letters.min() < 0 or letters.max() > 63:
        raise ValueError("it is not in COCO's compressed run lengths")
    length = ends - begins + 1
    shift = 5 * (np.arange(len(letters)) - np.repeat(begins, length))
    numbers = np.add.reduceat((letters & 31) << shift, begins)
    numbers -= ((letters[ends] & 16) > 0).astype(np.int64) << (5 * length)
    for rest in (numbers[1::2], numbers[2::2]):
        rest[:] = np.cumsum(rest)
    return numbers
