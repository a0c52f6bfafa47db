"""Threshold crossings of soft masks on the columns of an image, without resizing them.

Only cells of four source pixels that are not all on one side of the threshold have a crossing.
Masks lie one below the other in one array, so that each step is taken for all of them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Positions = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Columns:
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
    def of(cls, source: int, width: int) -> Columns:
        """Those of so many source and native columns."""
        scale = source / width
        position = np.clip((np.arange(width) + 0.5) * scale - 0.5, 0, source - 1)
        cells = np.arange(max(source - 1, 1))
        left = np.minimum(position.astype(np.int64), cells[-1])
        bounds = np.searchsorted(left, np.append(cells, cells[-1] + 1))
        weight = (position - left).astype(np.float32)
        return cls(np.minimum(cells + 1, source - 1), bounds[:-1], np.diff(bounds), weight)


def crossings(
    soft: Floats, columns: Columns, threshold: np.float32
) -> tuple[Integers, Integers, Integers, Positions]:
    """Finds where each native column rises above the threshold and where it falls back to it.

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


def _mixed_cells(above: npt.NDArray[np.bool_], columns: Columns) -> npt.NDArray[np.bool_]:
    """Which cells have source pixels on both sides of the threshold: bool [rows - 1, C]."""
    count = len(columns.right)
    left, right = above[:, :count], above[:, -count:]
    across = left != right
    mixed: npt.NDArray[np.bool_] = left[1:] != left[:-1]
    for sides in (right[1:] != right[:-1], across[1:], across[:-1]):
        mixed |= sides
    return mixed


def _spread(cell: Integers, columns: Columns) -> tuple[Integers, Integers]:
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
    columns: Columns,
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
    border: Floats, columns: Columns, threshold: np.float32
) -> tuple[Integers, Integers]:
    """(mask, native column) of what is inside on one source row of each mask."""
    touching = np.flatnonzero(border.max(axis=1) > threshold)
    mask = np.repeat(touching, len(columns.right))
    cell = np.tile(np.arange(len(columns.right)), len(touching))
    x, which = _spread(cell, columns)
    _, inside = _between(border, mask, cell, columns, which, columns.weight[x], threshold)
    return mask[which][inside], x[inside]
