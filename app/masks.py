"""Soft masks to COCO run-length encoding at native size, without ever making a native mask.

Bilinear interpolation is linear along a column between two source rows, so the row where the mask
crosses its threshold can be solved for, and the runs written from the crossings. The result is what
`Letterbox.restore` and pycocotools give, up to rounding at pixels that lie on the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from model.contract.instances import Instances
from model.contract.preprocess import Letterbox

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class EncodedMask:
    """One mask in the pixels of its image.

    Attributes:
        counts: COCO compressed run lengths, column by column, beginning with background; ASCII.
        area: pixels in the mask.
        bbox: (x, y, width, height) in pixels; zeros for an empty mask.
    """

    counts: str
    area: int
    bbox: tuple[int, int, int, int]


def encode(
    instances: Instances, letterbox: Letterbox, mask_threshold: float = 0.5
) -> list[EncodedMask]:
    """Encodes each instance's mask at the size of the letterbox's image.

    Args:
        instances: soft masks over the canvas.
        letterbox: where the image lies on the canvas.
        mask_threshold: a pixel belongs to the mask above this probability.
    """
    return [
        _encode_one(content, letterbox.image_size, np.float32(255 * mask_threshold))
        for content in letterbox.content(instances.masks)
    ]


def _encode_one(soft: Floats, size: tuple[int, int], threshold: np.float32) -> EncodedMask:
    above = soft > threshold
    rows, columns = np.flatnonzero(above.any(axis=1)), np.flatnonzero(above.any(axis=0))
    if not len(rows):
        return _from_runs(np.empty(0, np.int64), np.empty(0, np.int64), size)
    # One source row and column of background around the object, where the image has one.
    top, bottom = max(rows[0] - 1, 0), min(rows[-1] + 2, soft.shape[0])
    left, right = max(columns[0] - 1, 0), min(columns[-1] + 2, soft.shape[1])
    xs, profiles = _interpolate_columns(soft[top:bottom], (left, right), size[1])
    column, rise, fall = _crossings(profiles, threshold)
    scale = size[0] / soft.shape[0]
    # A native row is inside where its source position lies strictly past the rise ...
    start = np.floor((rise + top + 0.5) * scale - 0.5).astype(np.int64) + 1
    # ... and outside from the fall on. Infinite positions are runs that reach the border.
    end = np.ceil((fall + top + 0.5) * scale - 0.5).astype(np.int64)
    offsets = xs[column] * size[0]
    return _from_runs(
        offsets + np.clip(start, 0, size[0]), offsets + np.clip(end, 0, size[0]), size
    )


def _interpolate_columns(
    soft: Floats, source: tuple[int, int], width: int
) -> tuple[Integers, Floats]:
    """The native columns that touch the source columns, and each one's profile over source rows."""
    scale = soft.shape[1] / width
    first = max(0, int(np.floor((source[0] - 0.5) / scale - 0.5)))
    last = min(width, int(np.ceil((source[1] + 0.5) / scale - 0.5)) + 1)
    xs = np.arange(first, last)
    position = np.clip((xs + 0.5) * scale - 0.5, 0, soft.shape[1] - 1)
    left = np.minimum(position.astype(np.int64), max(soft.shape[1] - 2, 0))
    weight = (position - left).astype(np.float32)[:, None]
    by_column = np.ascontiguousarray(soft.T)
    profiles = by_column[left]
    profiles += (by_column[np.minimum(left + 1, soft.shape[1] - 1)] - profiles) * weight
    return xs, profiles


def _crossings(
    profiles: Floats, threshold: np.float32
) -> tuple[Integers, npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Where each profile rises above the threshold and where it falls back to it.

    Returns:
        The profile's index, and the source rows of its rise and fall, of every run in order. A run
        that is open at the profile's end has a position far outside.
    """
    inside = np.zeros((len(profiles), profiles.shape[1] + 2), np.bool_)
    np.greater(profiles, threshold, out=inside[:, 1:-1])
    changes = inside[:, 1:] != inside[:, :-1]
    column, after = np.nonzero(changes)
    # Between source rows `after - 1` and `after`, where both are there.
    before = np.clip(after - 1, 0, profiles.shape[1] - 1)
    lower = profiles[column, before].astype(np.float64)
    step = profiles[column, np.minimum(after, profiles.shape[1] - 1)] - lower
    outside = (after == 0) | (after == profiles.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = before + (threshold - lower) / step
    far = float(2 * profiles.shape[1] + 2)
    rows = np.where(outside, np.where(after == 0, -far, far), rows)
    return column[::2], rows[::2], rows[1::2]


def _from_runs(start: Integers, end: Integers, size: tuple[int, int]) -> EncodedMask:
    """Encodes foreground runs [start, end) of column-major pixel positions, in order."""
    height, width = size
    start, end = start[end > start], end[end > start]
    area = int((end - start).sum())
    bbox = (0, 0, 0, 0)
    if area:
        x, top, bottom = start // height, start % height, (end - 1) % height
        bbox = (
            int(x[0]),
            int(top.min()),
            int(x[-1] - x[0] + 1),
            int(bottom.max() - top.min() + 1),
        )
    # A run that ends with its column and one that begins the next are one run.
    apart = end[:-1] != start[1:]
    start, end = (
        start[np.append(True, apart)[: len(start)]],
        end[np.append(apart, True)[: len(end)]],
    )
    edges = np.column_stack([start, end]).ravel()
    counts = np.diff(edges, prepend=0, append=height * width)
    if len(counts) > 1 and counts[-1] == 0:
        counts = counts[:-1]
    encoded = coco_mask.frPyObjects(
        {"counts": counts.tolist(), "size": [height, width]}, height, width
    )
    return EncodedMask(encoded["counts"].decode("ascii"), area, bbox)
