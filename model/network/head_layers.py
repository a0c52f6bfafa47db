"""Building blocks of all heads: convolution blocks, towers, resizing, initialisation."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from model.configuration.network import Level, NormName

# Probability of every category and, but for SOLOv2, of every mask pixel at the start (focal loss,
# arXiv 1708.02002, section 4.1).
_PRIOR = 0.01
_GROUPS = 32


class ConvBlock(nn.Sequential):
    """3 x 3 or 1 x 1 convolution, norm, ReLU."""

    def __init__(self, in_channels: int, channels: int, norm: NormName, kernel: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.GroupNorm(_GROUPS, channels) if norm == "group" else nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)


def tower(in_channels: int, channels: int, depth: int, norm: NormName) -> nn.Sequential:
    """`depth` blocks, one after the other."""
    widths = [in_channels] + [channels] * depth
    return nn.Sequential(*(ConvBlock(a, b, norm) for a, b in itertools.pairwise(widths)))


def align(pyramid: list[Tensor], level: Level) -> Tensor:
    """The level's FPN map, resized to the one that has the level's stride.

    Args:
        pyramid: P2..P6, each [N, C, h, w].
        level: of the head.
    """
    like = pyramid[int(math.log2(level.stride)) - 2]
    return resize(pyramid[level.pyramid - 2], (like.shape[-2], like.shape[-1]))


def on_grid(features: Tensor, level: Level) -> Tensor:
    """A map resized to one value a cell of the level's grid: [N, C, G, G]."""
    return resize(features, (level.num_grid, level.num_grid))


def resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear resize of [N, C, h, w] to (height, width), pixel centres aligned."""
    if x.shape[-2:] == torch.Size(size):
        return x
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


def double(x: Tensor) -> Tensor:
    """Bilinear upsampling of [N, C, h, w] by two."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def initialise(head: nn.Module) -> None:
    """Fills every convolution with normal(0, 0.01) and zero biases."""
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.01)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def start_unlikely(convolution: nn.Conv2d) -> None:
    """Sets a bias that makes every output a probability of one in a hundred."""
    assert convolution.bias is not None
    nn.init.constant_(convolution.bias, -math.log((1 - _PRIOR) / _PRIOR))
