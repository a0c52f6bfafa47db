"""The Decoupled SOLO head (arXiv 1912.04488, section 3.4) and its light form.

A cell's mask is the product of its column's map and its row's map: 2 G maps in place of G * G. The
light form grows both from one tower.

Shapes: N images, C classes, G cells along a side of the grid, P chosen cells.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.configuration.network import Level, ModelConfig
from model.network.coord_conv import append_coordinates
from model.network.head_layers import (
    align,
    double,
    initialise,
    on_grid,
    resize,
    start_unlikely,
    tower,
)
from model.network.rows import take_rows


@dataclass(frozen=True)
class DecoupledSOLOOutputs:
    """Raw answers of the head.

    Attributes:
        category_logits: one [N, C, G, G] a level.
        x_logits: one [N, G, h, w] a level, a map a column, at half the level's stride.
        y_logits: the same, a map a row.
        size: (H / 4, W / 4).
    """

    category_logits: list[Tensor]
    x_logits: list[Tensor]
    y_logits: list[Tensor]
    size: tuple[int, int]

    def mask_logits(self, image: int, cells: list[Tensor]) -> list[Tensor]:
        """One image's masks of chosen cells, [P, h, w] a level; see `model.network.heads`."""
        masks = []
        for x_logits, y_logits, chosen in zip(self.x_logits, self.y_logits, cells, strict=True):
            num_grid = x_logits.shape[1]
            x = x_logits[image, chosen % num_grid]
            y = y_logits[image, chosen // num_grid]
            # The logit of sigmoid(x) * sigmoid(y), whose odds against are
            # (1 + exp(-x)) * (1 + exp(-y)) - 1: exact where the product is nearly 0 or 1.
            masks.append(-torch.logsumexp(torch.stack([-x, -y, -x - y]), dim=0))
        return masks

    def candidate_masks(self, cells: Tensor) -> Tensor:
        """Probabilities [N, P, H / 4, W / 4] of chosen cells of all levels."""
        x = torch.cat([resize(logits.sigmoid(), self.size) for logits in self.x_logits], dim=1)
        y = torch.cat([resize(logits.sigmoid(), self.size) for logits in self.y_logits], dim=1)
        grids = [logits.shape[1] for logits in self.x_logits]
        starts = [0, *itertools.accumulate(grids)]
        places = [
            (start + row, start + column)
            for start, grid in zip(starts, grids, strict=False)
            for row in range(grid)
            for column in range(grid)
        ]
        rows, columns = torch.tensor(places, device=cells.device)[cells].unbind(-1)
        return take_rows(x, columns) * take_rows(y, rows)


class DecoupledSOLOHead(nn.Module):
    """Category and mask towers, shared by all levels, and the last convolutions of each level.

    Args:
        config: the network's.
        light: one mask tower that sees both coordinates, where the full head has one for columns
            that sees x and one for rows that sees y.
    """

    def __init__(self, config: ModelConfig, *, light: bool) -> None:
        super().__init__()
        self.levels: tuple[Level, ...] = config.levels
        self.light = light
        width, depth, norm = config.head_channels, config.stacked_convs, config.norm
        self.category_tower = tower(config.fpn_channels, width, depth, norm)
        if light:
            self.mask_tower = tower(config.fpn_channels + 2, width, depth, norm)
        else:
            self.x_tower = tower(config.fpn_channels + 1, width, depth, norm)
            self.y_tower = tower(config.fpn_channels + 1, width, depth, norm)
        self.category = nn.Conv2d(width, config.num_classes, 3, padding=1)
        grids = [level.num_grid for level in config.levels]
        self.x_masks = nn.ModuleList(nn.Conv2d(width, grid, 3, padding=1) for grid in grids)
        self.y_masks = nn.ModuleList(nn.Conv2d(width, grid, 3, padding=1) for grid in grids)
        initialise(self)
        for convolution in (self.category, *self.x_masks, *self.y_masks):
            assert isinstance(convolution, nn.Conv2d)
            start_unlikely(convolution)

    def forward(self, pyramid: list[Tensor]) -> DecoupledSOLOOutputs:
        """P2..P6 to the raw answers of every level."""
        category_logits: list[Tensor] = []
        x_logits: list[Tensor] = []
        y_logits: list[Tensor] = []
        for level, x_masks, y_masks in zip(self.levels, self.x_masks, self.y_masks, strict=True):
            aligned = align(pyramid, level)
            category_logits.append(self.category(self.category_tower(on_grid(aligned, level))))
            x, y = self._towers(append_coordinates(aligned))
            x_logits.append(x_masks(x))
            y_logits.append(y_masks(y))
        size = (pyramid[0].shape[-2], pyramid[0].shape[-1])
        return DecoupledSOLOOutputs(category_logits, x_logits, y_logits, size)

    def _towers(self, located: Tensor) -> tuple[Tensor, Tensor]:
        if self.light:
            both = double(self.mask_tower(located))
            return both, both
        with_y = torch.cat([located[:, :-2], located[:, -1:]], dim=1)
        return double(self.x_tower(located[:, :-1])), double(self.y_tower(with_y))
