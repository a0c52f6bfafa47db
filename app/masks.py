"""Soft masks to COCO run-length encoding at native size, without ever making a native mask.

Bilinear interpolation is linear along a column between two source rows, so the row where the mask
crosses its threshold can be solved for, and the runs written from the crossings. Only cells of four
source pixels that are not all on one side of the threshold have any. The result is what
`Letterbox.restore` and pycocotools give, up to rounding at pixels that lie on the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from model.contract.instances import Instances
from model.contract.preprocess import Letterbox

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Positions = npt.NDArray[np.float64]

_TOGETHER: Final = 32  # masks: enough to hide what each call costs, and few megabytes


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
    soft, size = letterbox.content(instances.masks), letterbox.image_size
    encoded: list[EncodedMask] = []
    for start in range(0, len(soft), _TOGETHER):
        encoded += _encode_some(
            soft[start : start + _TOGETHER], size, np.float32(255 * mask_threshold)
        )
    return encoded


def _encode_some(soft: Floats, size: tuple[int, int], threshold: np.float32) -> list[EncodedMask]:
    count, rows, _ = soft.shape
    columns = _Columns.of(soft.shape[2], size[1])
    mask, x, row, position = _crossings(soft, columns, threshold)
    order = _order((mask * size[1] + x) * np.int64(rows + 2) + row)
    mask, x, position = mask[order[::2]], x[order[::2]], position[order]
    scale = size[0] / rows
    # A native row is inside where its source position lies strictly past the rise ...
    start = np.floor((position[::2] + 0.5) * scale - 0.5).astype(np.int64) + 1
    # ... and outside from the fall on. Infinite positions are runs that reach the border.
    end = np.ceil((position[1::2] + 0.5) * scale - 0.5).astype(np.int64)
    start, end = (x * size[0] + np.clip(edge, 0, size[0]) for edge in (start, end))
    bounds = np.searchsorted(mask, np.arange(count + 1)).tolist()
    return [_from_runs(start[one:next_], end[one:next_], size) for one, next_ in pairwise(bounds)]


def _order(keys: Integers) -> Integers:
    """Indices that sort distinct keys; sorting both as one number is faster than np.argsort."""
    bits = len(keys).bit_length()
    both = np.sort((keys << bits) | np.arange(len(keys)))
    return np.asarray(both & ((1 << bits) - 1))


@dataclass(frozen=True)
class _Columns:
    """The native columns between each source column and the next.

    Attributes:
        right: int64 [C], the next source column; C is one less than there are, and 1 at least.
        first: int64 [C], the first native column.
        count: int64 [C], how many there are; none where the image is narrower than its mask.
        weight: float32 [width], of the next source column in each native one.
    """

    right: Integers
    first: Integers
    count: Integers
    weight: Floats

    @classmethod
    @lru_cache(maxsize=64)
    def of(cls, source: int, width: int) -> _Columns:
        """Those of so many source and native columns."""
        scale = source / width
        position = np.clip((np.arange(width) + 0.5) * scale - 0.5, 0, source - 1)
        cells = np.arange(max(source - 1, 1))
        left = np.minimum(position.astype(np.int64), cells[-1])
        bounds = np.searchsorted(left, np.append(cells, cells[-1] + 1))
        weight = (position - left).astype(np.float32)
        return cls(np.minimum(cells + 1, source - 1), bounds[:-1], np.diff(bounds), weight)


def _crossings(
    soft: Floats, columns: _Columns, threshold: np.float32
) -> tuple[Integers, Integers, Integers, Positions]:
    """Where each native column rises above the threshold and where it falls back to it.

    Returns:
        The mask of each crossing, its native column, the source row before it, from -1, and its
        position in source rows; far outside where a run is open at the border. Not in order.
    """
    rows = soft.shape[1]
    stack = soft.reshape(-1, soft.shape[2])
    above = stack > threshold
    cells = _mixed_cells(above, columns)
    cells[rows - 1 :: rows] = False  # between one mask and the next
    row, cell = np.divmod(np.flatnonzero(cells), cells.shape[1])
    x, which = _spread(cell, columns)
    weight = columns.weight[x]
    upper, upper_inside = _between(stack, row, cell, columns, which, weight, threshold)
    lower, lower_inside = _between(stack, row + 1, cell, columns, which, weight, threshold)
    found = np.flatnonzero(upper_inside != lower_inside)
    x, row = x[found], row[which[found]]
    before, step = upper[found].astype(np.float64), lower[found].astype(np.float64)
    step -= before
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.nan_to_num((threshold - before) / step)
    mask, row = np.divmod(row, rows)
    parts = [(mask, x, row, row + np.clip(share, 0, 1))]
    far = float(2 * rows + 2)
    for border, before_it, place in ((0, -1, -far), (rows - 1, rows - 1, far)):
        mask, x = _inside_rows(stack[border::rows], columns, threshold)
        parts.append((mask, x, np.full(len(x), before_it), np.full(len(x), place)))
    masks, xs, all_rows, positions = map(np.concatenate, zip(*parts, strict=True))
    return masks, xs, all_rows, positions


def _mixed_cells(above: npt.NDArray[np.bool_], columns: _Columns) -> npt.NDArray[np.bool_]:
    """Which cells have source pixels on both sides of the threshold: bool [rows - 1, C]."""
    count = len(columns.right)
    left, right = above[:, :count], above[:, -count:]
    across = left != right
    mixed: npt.NDArray[np.bool_] = left[1:] != left[:-1]
    for sides in (right[1:] != right[:-1], across[1:], across[:-1]):
        mixed |= sides
    return mixed


def _spread(cell: Integers, columns: _Columns) -> tuple[Integers, Integers]:
    """All native columns of some cells, and which of the cells each is of."""
    count = columns.count[cell]
    which = np.repeat(np.arange(len(cell)), count)
    ends = np.cumsum(count)
    x = np.arange(len(which)) + np.repeat(columns.first[cell] - (ends - count), count)
    return x, which


def _between(
    stack: Floats,
    row: Integers,
    cell: Integers,
    columns: _Columns,
    which: Integers,
    weight: Floats,
    threshold: np.float32,
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Values of native columns on a source row of their cells, and whether they are inside.

    Between two values of one side none is on the other, whatever rounding says: the cells that are
    passed over count on it.
    """
    left, right = stack[row, cell], stack[row, columns.right[cell]]
    value = (right - left)[which]
    value *= weight
    value += left[which]
    inside = value > threshold
    inside &= (np.maximum(left, right) > threshold)[which]
    inside |= (np.minimum(left, right) > threshold)[which]
    return value, inside


def _inside_rows(
    border: Floats, columns: _Columns, threshold: np.float32
) -> tuple[Integers, Integers]:
    """(mask, native column) of what is inside on one source row of each mask."""
    touching = np.flatnonzero(border.max(axis=1) > threshold)
    mask = np.repeat(touching, len(columns.right))
    cell = np.tile(np.arange(len(columns.right)), len(touching))
    x, which = _spread(cell, columns)
    _, inside = _between(border, mask, cell, columns, which, columns.weight[x], threshold)
    return mask[which][inside], x[inside]


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
