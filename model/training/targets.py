"""Ground-truth assignment to grid cells (SOLO section 3.3.1, centre sampling), vectorised.

The arithmetic is the reference's to the bit: an object belongs to every level whose scale range
holds sqrt(box area); its positive cells are those that the central part of its box, laid around its
centre of mass, touches, at most one away from the centre's own cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.configuration.network import Level, ModelConfig, SharedCellRule
from model.data.objects import Objects
from model.training.pixel_sums import block_means, row_and_column_counts


@dataclass(frozen=True)
class LevelTargets:
    """Targets of one image at one level.

    Attributes:
        labels: int64 [G, G]; `num_classes` is background.
        cells: int64 [P], row * G + column of each positive. Where shared cells teach "all" their
            objects, a cell stands here once an object, by object and then by cell; else once, in
            ascending order.
        objects: int64 [P], which object each positive is to outline.
    """

    labels: Tensor
    cells: Tensor
    objects: Tensor


def assign(objects: Objects, config: ModelConfig) -> list[LevelTargets]:
    """Assigns objects to cells: the targets of every level, finest first."""
    height, width = objects.masks.shape[-2:]
    rows, columns = row_and_column_counts(objects.masks)
    total = rows.sum(1)
    pixels = total.to(torch.float32).clamp(min=1e-6)
    centre_y = (rows * torch.arange(height, device=rows.device)).sum(1) / pixels
    centre_x = (columns * torch.arange(width, device=rows.device)).sum(1) / pixels
    box_width = objects.boxes[:, 2] - objects.boxes[:, 0]
    box_height = objects.boxes[:, 3] - objects.boxes[:, 1]
    scale = (box_width * box_height).sqrt()
    half_width, half_height = 0.5 * box_width * config.sigma, 0.5 * box_height * config.sigma
    # The last object in this order gives a shared cell its label.
    precedence = torch.arange(len(total), device=total.device)
    if config.shared_cells == "smallest":
        precedence = total.argsort(descending=True, stable=True)

    targets = []
    for level in config.levels:
        low, high = level.scale_range
        hit = (scale >= low) & (scale <= high) & (total > 0)
        top, bottom = _cell_range(centre_y, half_height, height, level)
        left, right = _cell_range(centre_x, half_width, width, level)
        cells, claimants = _claims(hit, (top, bottom, left, right), level)
        owners = _owners(cells, claimants, precedence, level)
        # Index -1 picks the background that stands behind the objects' labels.
        known = torch.cat([objects.labels, objects.labels.new_full((1,), config.num_classes)])
        labels = known[owners].view(level.num_grid, level.num_grid)
        targets.append(_share_out(labels, cells, claimants, owners, config.shared_cells))
    return targets


def mask_targets(masks: Tensor, stride: int = 4) -> Tensor:
    """Mask targets: the part of each cell of a coarser grid that an object covers.

    The mean over the cell keeps where inside it the edge runs, so that the network's 0.5 level lies
    on the true edge; the reference's binary target loses up to half a cell and small objects.

    Args:
        masks: uint8 [n, H, W], 0 to 255; H and W multiples of the stride.
        stride: pixels a cell, along each side.

    Returns:
        float32 [n, H / stride, W / stride] in [0, 1].
    """
    return block_means(masks, stride) / 255


def binary_mask_targets(masks: Tensor, stride: int = 4) -> Tensor:
    """The reference's mask targets: OpenCV's bilinear reduction of a binary mask.

    For sizes that the stride divides, a cell is 1 where at least two of its central 2 x 2 pixels
    are set.

    Args:
        masks: uint8 [n, H, W], 0 to 255; H and W multiples of the stride.
        stride: pixels a cell, along each side; even.

    Returns:
        float32 [n, H / stride, W / stride], 0 or 1.
    """
    first = stride // 2 - 1
    rows = (masks[:, first::stride] >> 7) + (masks[:, first + 1 :: stride] >> 7)
    votes = rows[:, :, first::stride] + rows[:, :, first + 1 :: stride]
    return (votes >= 2).to(torch.float32)


def _cell_range(centre: Tensor, half: Tensor, size: int, level: Level) -> tuple[Tensor, Tensor]:
    cell = _cell(centre, size, level.num_grid)
    low = _cell(centre - half, size, level.num_grid).clamp(min=0)
    high = _cell(centre + half, size, level.num_grid).clamp(max=level.num_grid - 1)
    return torch.maximum(low, cell - 1), torch.minimum(high, cell + 1)


def _cell(coordinate: Tensor, size: int, num_grid: int) -> Tensor:
    # Dividing by the reciprocal, as the reference does, decides centres that lie on a grid line.
    return torch.div(coordinate / size, 1 / num_grid, rounding_mode="trunc").to(torch.int64)


def _claims(
    hit: Tensor, bounds: tuple[Tensor, Tensor, Tensor, Tensor], level: Level
) -> tuple[Tensor, Tensor]:
    """Every (cell, object) pair, by object, then row, then column."""
    top, bottom, left, right = (bound[:, None, None] for bound in bounds)
    step = torch.arange(3, device=hit.device)
    rows, columns = torch.broadcast_tensors(top + step[:, None], left + step)
    positive = hit[:, None, None] & (rows <= bottom) & (columns <= right)
    return rows[positive] * level.num_grid + columns[positive], positive.nonzero()[:, 0]


def _owners(cells: Tensor, claimants: Tensor, precedence: Tensor, level: Level) -> Tensor:
    """The claimant of each cell that comes last in `precedence`, or -1: int64 [G * G]."""
    rank = torch.empty_like(precedence)
    rank[precedence] = torch.arange(len(precedence), device=precedence.device)
    last = torch.full((level.num_grid**2,), -1, dtype=torch.int64, device=cells.device)
    last.scatter_reduce_(0, cells, rank[claimants], "amax")
    return torch.cat([precedence, precedence.new_full((1,), -1)])[last]


def _share_out(
    labels: Tensor, cells: Tensor, claimants: Tensor, owners: Tensor, rule: SharedCellRule
) -> LevelTargets:
    if rule == "all":
        return LevelTargets(labels, cells, claimants)
    owned = (owners >= 0).nonzero()[:, 0]
    return LevelTargets(labels, owned, owners[owned])
