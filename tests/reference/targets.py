"""Target assignment, one object and one level at a time.

Source: SOLO (ECCV 2020), section 3.3.1; SOLOv2 (NeurIPS 2020), section 3.2. What the papers leave
open (rounding, order, conflicts) is as in the released code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class LevelTargets:
    """What one image asks of one level.

    Attributes:
        labels: int64 [G, G], the class of each cell; `num_classes` is background.
        pairs: (cell, object) in visiting order; a cell that two objects share comes twice.
        masks: uint8 [P, h, w], the target of each pair.
    """

    labels: npt.NDArray[np.int64]
    pairs: list[tuple[int, int]]
    masks: npt.NDArray[np.uint8]


def assign(
    masks: npt.NDArray[np.uint8],
    boxes: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    *,
    num_classes: int,
    num_grids: Sequence[int],
    scale_ranges: Sequence[tuple[float, float]],
    mask_strides: Sequence[int] = (4, 4, 4, 4, 4),
    sigma: float = 0.2,
) -> list[LevelTargets]:
    """Assigns the objects of one image to grid cells.

    Args:
        masks: uint8 [N, H, W], 0 or 1, on the whole canvas.
        boxes: float32 [N, 4], (x, y, x, y) in canvas pixels, the far edges exclusive.
        labels: int64 [N].
        num_classes: the number of classes, and the label of the background.
        num_grids: cells along a side, per level.
        scale_ranges: least and greatest sqrt(box area) in pixels, both inclusive, per level.
        mask_strides: canvas pixels per pixel of a mask target, per level.
        sigma: the part of the box around the centre of mass that is positive.
    """
    levels = []
    for grid, bounds, stride in zip(num_grids, scale_ranges, mask_strides, strict=True):
        level_labels = np.full((grid, grid), num_classes, np.int64)
        pairs: list[tuple[int, int]] = []
        targets = [np.zeros((0, masks.shape[1] // stride, masks.shape[2] // stride), np.uint8)]
        for index, (mask, box) in enumerate(zip(masks, boxes, strict=True)):
            if not (in_range(box, bounds) and mask.any()):
                continue
            for row, column in positive_cells(mask, box, grid, sigma):
                level_labels[row, column] = labels[index]
                pairs.append((row * grid + column, index))
                targets.append(shrink(mask, stride)[None])
        levels.append(LevelTargets(level_labels, pairs, np.concatenate(targets)))
    return levels


def in_range(box: npt.NDArray[np.float32], bounds: tuple[float, float]) -> bool:
    """Whether an object's size belongs to a level."""
    size = np.sqrt((box[2] - box[0]) * (box[3] - box[1]))
    return bool(bounds[0] <= size <= bounds[1])


def positive_cells(
    mask: npt.NDArray[np.uint8], box: npt.NDArray[np.float32], grid: int, sigma: float
) -> list[tuple[int, int]]:
    """The (row, column) of each cell that an object trains, at most 3 x 3, row by row."""
    spans = []
    for axis, (low, high) in enumerate(((box[1], box[3]), (box[0], box[2]))):
        indices = np.nonzero(mask)[axis]
        centre = np.float32(indices.sum()) / np.float32(len(indices))
        half = np.float32(0.5) * (high - low) * np.float32(sigma)
        middle = cell_of(centre, mask.shape[axis], grid)
        first = max(0, cell_of(centre - half, mask.shape[axis], grid), middle - 1)
        last = min(grid - 1, cell_of(centre + half, mask.shape[axis], grid), middle + 1)
        spans.append(range(first, last + 1))
    return [(row, column) for row in spans[0] for column in spans[1]]


def cell_of(position: np.float32, size: int, grid: int) -> int:
    """The cell of a position, in float32.

    Dividing by the reciprocal, rather than multiplying by `grid`, decides on cell borders.
    """
    return int(np.trunc(position / np.float32(size) / np.float32(1 / grid)))


def shrink(mask: npt.NDArray[np.uint8], stride: int) -> npt.NDArray[np.uint8]:
    """A mask at 1/stride: set where two of a block's four central pixels are.

    This is what bilinear shrinking of a 0/1 uint8 image by an even whole factor comes to.
    """
    before, after = stride // 2 - 1, stride // 2
    votes = sum(
        mask[row::stride, column::stride].astype(np.int64)
        for row in (before, after)
        for column in (before, after)
    )
    return np.greater_equal(votes, 2).astype(np.uint8)


def last_per_cell(level: LevelTargets) -> LevelTargets:
    """One target per cell in ascending order, the last object's: the rule of SOLO v1."""
    latest = {cell: position for position, (cell, _) in enumerate(level.pairs)}
    order = [latest[cell] for cell in sorted(latest)]
    return LevelTargets(level.labels, [level.pairs[i] for i in order], level.masks[order])
