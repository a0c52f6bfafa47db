"""Boundary distances of two masks: their mean, and the 95 % Hausdorff distance."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class BoundaryDistance:
    """Distances between two outlines, in pixels.

    Attributes:
        mean: mean over the outline pixels of both of the way to the other outline.
        hausdorff95: of the two directions' 95th percentiles of that way, the larger.
    """

    mean: float
    hausdorff95: float


def boundary_distance(one: Mask, other: Mask) -> BoundaryDistance:
    """Measures the distances between the outlines of two masks.

    An outline is the pixels of a mask that have a neighbour outside of it, above, below, left or
    right; the film's own edge is outside too.

    Args:
        one: bool [H, W] with at least one pixel.
        other: the same.
    """
    window = _around(one | other)
    outlines = [_outline(one[window]), _outline(other[window])]
    ways = [_distance_to(outlines[1])[outlines[0]], _distance_to(outlines[0])[outlines[1]]]
    return BoundaryDistance(
        mean=float(np.concatenate(ways).mean()),
        hausdorff95=float(max(np.percentile(way, 95) for way in ways)),
    )


def _outline(mask: Mask) -> Mask:
    cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
    padded = np.pad(mask, 1).astype(np.uint8)
    inner = cv2.erode(padded, cross)[1:-1, 1:-1] > 0
    return np.asarray(mask & ~inner, np.bool_)


def _distance_to(outline: Mask) -> npt.NDArray[np.float32]:
    away = (~outline).astype(np.uint8)
    found = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(found, np.float32)


def _around(mask: Mask) -> tuple[slice, slice]:
    x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
    return slice(y, y + height), slice(x, x + width)
