"""The SOLOv2 head (arXiv 2003.10152, section 3): category, kernel and unified mask-feature branch.

Shapes: N images, C classes, G cells along a side of the grid, D = E the kernel's length and the
mask channels.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.config import Level, ModelConfig, NormName
from model.coord_conv import append_coordinates

_PRIOR = 0.01  # probability of every category at the start (focal loss, arXiv 1708.02002)
_GROUPS = 32


@dataclass(frozen=True)
class HeadOutputs:
    """Raw answers of the head.

    Attributes:
        category_logits: one [N, C, G, G] a level.
        kernels: one [N, D, G, G] a level.
        mask_features: [N, E, H / 4, W / 4], 0 or above.
    """

    category_logits: list[Tensor]
    kernels: list[Tensor]
    mask_features: Tensor


class ConvBlock(nn.Sequential):
    """3 x 3 or 1 x 1 convolution, norm, ReLU."""

    def __init__(self, in_channels: int, channels: int, norm: NormName, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.GroupNorm(_GROUPS, channels) if norm == "group" else nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)


class MaskFeatureBranch(nn.Module):
    """Sums P2..P5 at stride 4 (section 3.2, "unified mask feature").

    The map of level n passes n blocks, each but P2's followed by an upsampling by two; P5 gets the
    coordinates.
    """

    def __init__(self, in_channels: int, channels: int, out_channels: int, norm: NormName) -> None:
        super().__init__()
        self.levels = nn.ModuleList()
        for depth in range(4):
            first = in_channels + (2 if depth == 3 else 0)
            widths = [first] + [channels] * max(1, depth)
            blocks: list[nn.Module] = []
            for width, next_width in itertools.pairwise(widths):
                blocks.append(ConvBlock(width, next_width, norm))
                if depth:
                    blocks.append(nn.Upsample(scale_factor=2, mode="bilinear"))
            self.levels.append(nn.Sequential(*blocks))
        self.predict = ConvBlock(channels, out_channels, norm, kernel=1)

    def forward(self, pyramid: list[Tensor]) -> Tensor:
        """P2..P5, each [N, in_channels, h, w], to [N, out_channels, H / 4, W / 4]."""
        inputs = [*pyramid[:3], append_coordinates(pyramid[3])]
        total = sum(level(x) for level, x in zip(self.levels, inputs, strict=True))
        return cast(Tensor, self.predict(total))


class SOLOv2Head(nn.Module):
    """Category and kernel towers, shared by all levels, and the mask-feature branch."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.levels: tuple[Level, ...] = config.levels
        width = config.head_channels
        self.category_tower = _tower(config.fpn_channels, config)
        self.kernel_tower = _tower(config.fpn_channels + 2, config)
        self.category = nn.Conv2d(width, config.num_classes, 3, padding=1)
        self.kernel = nn.Conv2d(width, config.mask_channels, 3, padding=1)
        self.mask_branch = MaskFeatureBranch(
            config.fpn_channels, config.mask_branch_channels, config.mask_channels, config.norm
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        assert self.category.bias is not None
        nn.init.constant_(self.category.bias, -math.log((1 - _PRIOR) / _PRIOR))

    def forward(self, pyramid: list[Tensor]) -> HeadOutputs:
        """P2..P6 to the raw answers of every level."""
        category_logits: list[Tensor] = []
        kernels: list[Tensor] = []
        for level in self.levels:
            aligned = _align(pyramid, level)
            on_grid = _resize(append_coordinates(aligned), (level.num_grid, level.num_grid))
            category_logits.append(self.category(self.category_tower(on_grid[:, :-2])))
            kernels.append(self.kernel(self.kernel_tower(on_grid)))
        return HeadOutputs(category_logits, kernels, self.mask_branch(pyramid[:4]))


def form_masks(kernels: Tensor, mask_features: Tensor) -> Tensor:
    """The dynamic 1 x 1 convolution (section 3.2): mask logits of the given kernels.

    Args:
        kernels: [..., P, D].
        mask_features: [..., E, h, w] with E = D.

    Returns:
        [..., P, h, w] logits.
    """
    logits: Tensor = (kernels @ mask_features.flatten(-2)).unflatten(-1, mask_features.shape[-2:])
    return logits


def _tower(in_channels: int, config: ModelConfig) -> nn.Sequential:
    widths = [in_channels] + [config.head_channels] * config.stacked_convs
    return nn.Sequential(*(ConvBlock(a, b, config.norm) for a, b in itertools.pairwise(widths)))


def _align(pyramid: list[Tensor], level: Level) -> Tensor:
    features = pyramid[level.pyramid - 2]
    like = pyramid[int(math.log2(level.stride)) - 2]
    if features.shape[-2:] == like.shape[-2:]:
        return features
    return _resize(features, (like.shape[-2], like.shape[-1]))


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    if x.shape[-2:] == torch.Size(size):
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=False)
