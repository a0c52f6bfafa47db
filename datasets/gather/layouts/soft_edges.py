"""Soft edges of masks: resizing, smoothing and JPEG leave greys that are no objects' numbers."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.uint32]
_FEW = 4  # values between background and object that a label map may have by chance
_HALF, _FULL = 128, 255  # of the greys of 8 bits, which a wide edge may have all
_MOSTLY = 0.9  # of the pixels of soft edges touch a pixel of another value
_FAINT, _STRONG = 1 / 16, 0.9  # parts of the largest value: noise of JPEG is below or above


def harden(labels: Labels) -> Labels | None:
    """One object's mask, from half of the largest value on, where edges are soft; None if not.

    They are soft where many values have pixels at the edges of others alone, while objects of a
    label map have pixels all around which is the same number, or touch no other.

    Args:
        labels: uint32 [height, width] of a mask or label map.

    Raises:
        ValueError: if there are several objects, or colours, with soft edges.
    """
    values = np.unique(labels[labels > 0])
    if len(values) <= _FEW:
        return None
    most = float(values[-1])
    if len(values) == most and not _HALF <= most <= _FULL:  # numbered from 1 on
        return None
    grid = labels.astype(np.float64)
    around = np.ones((3, 3), np.uint8)
    high, low = cv2.dilate(grid, around), cv2.erode(grid, around)
    lowest = cv2.erode(np.where(labels > 0, grid, np.inf), around)  # without the background
    solid = np.unique(labels[(high == low) & (labels > 0)])
    edge = (grid > _FAINT * most) & (grid < most) & ~np.isin(labels, solid)
    if len(np.unique(labels[edge])) <= _FEW or (high != lowest)[edge].mean() < _MOSTLY:
        return None
    apart = solid[(solid > _FAINT * most) & (solid < _STRONG * most)]
    if len(apart) or (most > 0xFFFF and (values & 0xFFFF).any()):
        raise ValueError(
            "its objects have soft edges, whose values are no objects: save it without smoothing, "
            "resized by the nearest neighbour"
        )
    return (grid > most / 2).astype(np.uint32)
