"""COCO segmentations: polygons and run lengths, read and checked.

Run lengths are checked here in Python, since pycocotools decodes broken ones to whatever lies in
memory.
"""

from __future__ import annotations

from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from model.data.coco_values import whole_number

Polygons = tuple[npt.NDArray[np.float64], ...]
Size = tuple[int, int]
_LEAST_AREA = 1e-9  # in pixels; below it is rounding


def read_outline(segmentation: object, size: Size) -> tuple[Polygons, dict[str, Any] | None]:
    """The polygons of an annotation's `segmentation`, or its compressed RLE.

    Args:
        segmentation: a list of flat x, y lists, or `{"size", "counts"}` in either form. A single
            flat list is a polygon too, and a polygon may be a list of x, y pairs.
        size: (height, width) of the image.

    Raises:
        ValueError: saying what is wrong with it.
    """
    if isinstance(segmentation, dict):
        return (), _read_rle(segmentation, size)
    if not isinstance(segmentation, list) or all(ring == [] for ring in segmentation):
        raise ValueError("it has no 'segmentation': instance segmentation needs an outline")
    rings = [segmentation] if _is_flat(segmentation) or _is_pairs(segmentation) else segmentation
    return tuple(_read_polygon(ring, size) for ring in rings), None


def polygon_area(points: npt.NDArray[np.float64]) -> float:
    """The area within a ring of points [n, 2] (the shoelace formula)."""
    x, y = points.T
    return float(abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2)


def _is_flat(ring: object) -> TypeGuard[list[float]]:
    return isinstance(ring, list) and all(type(value) in (int, float) for value in ring)


def _is_pairs(ring: object) -> TypeGuard[list[list[Any]]]:
    return isinstance(ring, list) and all(
        isinstance(pair, list) and len(pair) == 2 for pair in ring
    )


def _read_polygon(ring: object, size: Size) -> npt.NDArray[np.float64]:
    if _is_pairs(ring):
        ring = [value for pair in ring for value in pair]
    if not _is_flat(ring):
        raise ValueError("a polygon holds something other than numbers")
    if len(ring) < 6 or len(ring) % 2:
        raise ValueError(f"a polygon needs three or more x, y pairs, it has {len(ring)} numbers")
    try:
        points = np.asarray(ring, np.float64)
    except OverflowError:
        raise ValueError("a polygon holds a number that is not finite") from None
    if not np.isfinite(points).all():
        raise ValueError("a polygon holds a number that is not finite")
    points = points.reshape(-1, 2)
    low, high = points.min(0), points.max(0)
    extent = np.array(size[::-1])
    if (high <= 0).any() or (low >= extent).any():
        raise ValueError("a polygon lies outside the image")
    if (low < -extent).any() or (high > 2 * extent).any():
        raise ValueError("a polygon reaches farther out of the image than the image is large")
    if polygon_area(points) < _LEAST_AREA:
        if np.linalg.matrix_rank(points - points[0]) < 2:
            raise ValueError("a polygon encloses no area")
        raise ValueError("a polygon crosses or retraces itself, so that its parts cancel out")
    return points


def _read_rle(segmentation: dict[str, Any], size: Size) -> dict[str, Any]:
    given = segmentation.get("size")
    if not isinstance(given, list) or list(map(whole_number, given)) != list(size):
        raise ValueError(f"its mask is of size {given}, the image is {list(size)}")
    counts = segmentation.get("counts")
    if isinstance(counts, str) and counts:
        runs = _decompress(counts)
    elif isinstance(counts, list):
        runs = [_run_length(run) for run in counts]
    else:
        raise ValueError("its mask has no 'counts'")
    if min(runs, default=0) < 0 or sum(runs) != size[0] * size[1]:
        raise ValueError("its run lengths do not add up to the image")
    if not sum(runs[1::2]):
        raise ValueError("its mask is empty")
    rle: dict[str, Any] = coco_mask.frPyObjects({"size": list(size), "counts": runs}, *size)
    return rle


def _run_length(run: object) -> int:
    length = whole_number(run)
    if length is None or length < 0:
        raise ValueError("a run length is no whole number of 0 or more")
    return length


def _decompress(counts: str) -> list[int]:
    """COCO's string: five bits a character, lowest first; from the fourth run on differences."""
    runs: list[int] = []
    value, shift = 0, 0
    for character in counts:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("its 'counts' are not in COCO's compressed form")
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise ValueError("its 'counts' end within a number")
    return runs
