"""ConvNeXt features C2..C5 (Liu et al., arXiv 2201.03545), with torchvision's state-dict names."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_DEPTHS = (3, 3, 9, 3)
_WIDTHS = (96, 192, 384, 768)
_EPSILON = 1e-6


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of [N, C, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        """Same shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _Permute(nn.Module):
    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.order)


class Block(nn.Module):
    """A 7 x 7 convolution of each channel apart, then a two-layer perceptron at every pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            _Permute(0, 2, 3, 1),
            nn.LayerNorm(channels, eps=_EPSILON),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
            _Permute(0, 3, 1, 2),
        )
        self.layer_scale = nn.Parameter(torch.full((channels, 1, 1), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, H, W], same shape."""
        change: Tensor = self.layer_scale * self.block(x)
        return x + change


class ConvNeXtTiny(nn.Module):
    """ConvNeXt-Tiny without its classifier.

    Args:
        in_channels: image channels; 1 for a radiograph.
    """

    # As for a ResNet: ImageNet's mean and deviation in grey.
    input_mean = 0.449
    input_std = 0.226
    channels = _WIDTHS

    def __init__(self, in_channels: int = 1) -> None:
        super().__init__()
        stem = nn.Sequential(
            nn.Conv2d(in_channels, _WIDTHS[0], 4, 4), ChannelNorm(_WIDTHS[0], eps=_EPSILON)
        )
        layers: list[nn.Module] = [stem]
        for stage, (width, depth) in enumerate(zip(_WIDTHS, _DEPTHS, strict=True)):
            if stage:
                before = _WIDTHS[stage - 1]
                norm = ChannelNorm(before, eps=_EPSILON)
                layers.append(nn.Sequential(norm, nn.Conv2d(before, width, 2, 2)))
            layers.append(nn.Sequential(*(Block(width) for _ in range(depth))))
        self.features = nn.Sequential(*layers)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(module.weight, std=0.02)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Float32 [N, in_channels, H, W] to C2..C5 at strides 4, 8, 16 and 32."""
        features = []
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index % 2:  # after each stage, before the next one halves
                features.append(x)
        return features
