"""Outlines of a mask, followed from run to run: their cost depends on the runs, not on the pixels.

Each run has a lower and an upper edge, one pixel wide, and the runs beside it say which edge comes
next. What is found is point by point what OpenCV's `findContours` (Suzuki and Abe, 1985) finds in
the mask at twice its size, for which it would have to draw the mask and look at every pixel.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from solo.masks.crossings import Integers

Points = npt.NDArray[np.int32]


def outer_outlines(column: Integers, start: Integers, end: Integers) -> list[Points]:
    """The outline of each part of a mask that is in no hole of another; parts touch at corners too.

    Args:
        column: int64 [n], of each run, ascending.
        start: int64 [n], its first row, ascending within a column.
        end: int64 [n], the row after its last; runs of one column do not touch.

    Returns:
        int32 [points, 2] each, (x, y) of the corners in half pixels: the first pixel has 0 and 1.
        They go anticlockwise on a screen from the leftmost of the top row; the lowest part is the
        first.
    """
    if not len(column):
        return []
    lower = _after_lower_edges(column, start, end)
    # An upper edge is a lower one of the mask turned by half a circle.
    bottom = end.max()
    upper = _after_lower_edges(-column[::-1], bottom - end[::-1], bottom - start[::-1])
    following = np.concatenate([lower, 2 * len(column) - 1 - upper[::-1]])
    loops = _outer_loops(following.tolist(), column.tolist())
    points, kept = _corners(np.concatenate(loops), following, column, start, end)
    last = np.cumsum([len(loop) for loop in loops])
    ends = np.cumsum(kept.sum(axis=1))[last - 1]
    outlines = map(_from_top, np.split(points[kept], ends[:-1]))
    return sorted(outlines, key=lambda one: (one[0, 1], one[0, 0]), reverse=True)


def _after_lower_edges(column: Integers, start: Integers, end: Integers) -> Integers:
    """The edge that follows the lower one of each run, walked to the right.

    Edges are counted as the lower ones of all runs, then the upper ones of all runs.
    """
    count, rows = len(column), end.max() + 1
    run = np.arange(count)
    # Of the next column the last run that begins at the height of this one's end, or above.
    beside = np.searchsorted(column * rows + start, (column + 1) * rows + end, "right") - 1
    reaches = np.where(column[beside] == column + 1, end[beside], -1)
    below = np.minimum(run + 1, count - 1)
    # It joins this run to the one below, goes on with this one, or there is none.
    joins = (below > run) & (column[below] == column) & (start[below] <= reaches)
    return np.where(joins, count + below, np.where(reaches >= start, beside, count + run))


def _outer_loops(following: list[int], column: list[int]) -> list[list[int]]:
    """The edges of each outline that lies in no hole."""
    count = len(column)
    outside: list[bool | None] = [None] * len(following)  # None until the edge is walked

    def walk(edge: int, is_outside: bool) -> list[int]:
        loop = []
        while outside[edge] is None:
            outside[edge] = is_outside
            loop.append(edge)
            edge = following[edge]
        return loop

    loops = []
    for run in range(count):
        if outside[count + run] is None:  # the top of a new part: what is above, borders on it too
            is_first = run == 0 or column[run - 1] != column[run]
            is_outside = is_first or bool(outside[run - 1])
            loop = walk(count + run, is_outside)
            if is_outside:
                loops.append(loop)
        walk(run, is_outside=False)  # nothing, unless a hole begins below the run
    return loops


def _corners(
    edges: Integers, following: Integers, column: Integers, start: Integers, end: Integers
) -> tuple[Points, npt.NDArray[np.bool_]]:
    """Four points after each edge, int32 [n, 4, 2], and which of them are corners: bool [n, 4].

    They are the last pixel of the edge, the first and the last beside the vertical that follows,
    and the first of the next edge, all of them inside.
    """
    count = len(column)
    after = following[edges]
    lower, next_lower = edges < count, after < count
    rows = np.concatenate([end, start])
    y, next_y = rows[edges], rows[after]
    down = next_y > y
    x = 2 * (column[edges % count] + lower)
    xs = (x - lower, x - ~down, x - ~down, x - ~next_lower)
    ys = (2 * y - lower, 2 * y - ~down, 2 * next_y - down, 2 * next_y - next_lower)
    turns = next_y != y
    kept = (turns, turns & (lower == down), turns, turns & (next_lower != down))
    points = np.stack([np.stack(xs, axis=1), np.stack(ys, axis=1)], axis=2)
    return points.astype(np.int32), np.stack(kept, axis=1)


def _from_top(outline: Points) -> Points:
    """The same corners from the leftmost of the top row on."""
    first = int(np.lexsort((outline[:, 0], outline[:, 1]))[0])
    return np.roll(outline, -first, axis=0)
