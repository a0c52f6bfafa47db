"""The SOLO head (arXiv 1912.04488, section 3): one mask channel for every cell of every grid.

The last 1 x 1 convolution has a row of weights a cell, so only the rows of wanted cells are
applied: those of the objects in training, those of the candidates in inference. The reference forms
all masks, 1 GB at 800 x 1344. It also doubles the features before that convolution; a sum over
channels and a sum over pixels may change places, so here the few wanted masks are doubled.

Shapes: N images, C classes, G cells along a side of the grid, P chosen cells, D channels.
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


@dataclass(frozen=True)
class SOLOOutputs:
    """Raw answers of the head.

    Attributes:
        category_logits: one [N, C, G, G] a level.
        features: one [N, D, h, w] a level, at the level's stride.
        weights: one [G * G, D] a level, of the last convolution.
        biases: one [G * G] a level.
        size: (H / 4, W / 4).
    """

    category_logits: list[Tensor]
    features: list[Tensor]
    weights: list[Tensor]
    biases: list[Tensor]
    size: tuple[int, int]

    def mask_logits(self, image: int, cells: list[Tensor]) -> list[Tensor]:
        """One image's masks of chosen cells, [P, 2 h, 2 w] a level; see `model.network.heads`."""
        chosen = enumerate(cells)
        return [self._level_masks(level, image, c[None]).squeeze(0) for level, c in chosen]

    def candidate_masks(self, cells: Tensor) -> Tensor:
        """Probabilities [N, P, H / 4, W / 4] of chosen cells of all levels."""
        counts = [len(bias) for bias in self.biases]
        starts = [0, *itertools.accumulate(counts)]
        masks = self.features[0].new_zeros((*cells.shape, *self.size))
        for level, (start, count) in enumerate(zip(starts, counts, strict=False)):
            # Every cell gets a mask of every level, wrong ones included: the shapes stay fixed.
            local = (cells - start).clamp(0, count - 1)
            own = resize(self._level_masks(level, slice(None), local).sigmoid(), self.size)
            here = (cells >= start) & (cells < start + count)
            masks = torch.where(here[:, :, None, None], own, masks)
        return masks

    def _level_masks(self, level: int, images: int | slice, cells: Tensor) -> Tensor:
        """Logits [n, P, 2 h, 2 w] of cells [n, P] of one level."""
        features = self.features[level][images]
        logits = self.weights[level][cells] @ features.flatten(-2) + self.biases[level][cells, None]
        maps = logits.flatten(0, 1).unflatten(-1, features.shape[-2:])
        masks: Tensor = double(maps[:, None]).unflatten(0, cells.shape).squeeze(2)
        return masks


class SOLOHead(nn.Module):
    """Category and mask towers, shared by all levels, and the last convolutions of each level."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.levels: tuple[Level, ...] = config.levels
        width, depth, norm = config.head_channels, config.stacked_convs, config.norm
        self.category_tower = tower(config.fpn_channels, width, depth, norm)
        self.mask_tower = tower(config.fpn_channels + 2, width, depth, norm)
        self.category = nn.Conv2d(width, config.num_classes, 3, padding=1)
        self.masks = nn.ModuleList(nn.Conv2d(width, b.num_grid**2, 1) for b in config.levels)
        initialise(self)
        for convolution in (self.category, *self.masks):
            assert isinstance(convolution, nn.Conv2d)
            start_unlikely(convolution)

    def forward(self, pyramid: list[Tensor]) -> SOLOOutputs:
        """P2..P6 to the raw answers of every level."""
        category_logits: list[Tensor] = []
        features: list[Tensor] = []
        for level in self.levels:
            aligned = align(pyramid, level)
            category_logits.append(self.category(self.category_tower(on_grid(aligned, level))))
            features.append(self.mask_tower(append_coordinates(aligned)))
        weights: list[Tensor] = [m.get_parameter("weight").flatten(1) for m in self.masks]
        biases: list[Tensor] = [m.get_parameter("bias") for m in self.masks]
        size = (pyramid[0].shape[-2], pyramid[0].shape[-1])
        return SOLOOutputs(category_logits, features, weights, biases, size)
