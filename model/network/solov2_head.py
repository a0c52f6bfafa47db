"""The SOLOv2 head (arXiv 2003.10152, section 3): category, kernel and unified mask-feature branch.

Shapes: N images, C classes, G cells along a side of the grid, P chosen cells, D = E the kernel's
length and the mask channels.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from model.configuration.network import Level, ModelConfig, NormName
from model.network.coord_conv import append_coordinates
from model.network.head_layers import ConvBlock, align, initialise, on_grid, start_unlikely, tower
from model.network.rows import take_rows


@dataclass(frozen=True)
class SOLOv2Outputs:
    """Raw answers of the head.

    Attributes:
        category_logits: one [N, C, G, G] a level.
        kernels: one [N, D, G, G] a level.
        mask_features: [N, E, H / 4, W / 4], 0 or above.
    """

    category_logits: list[Tensor]
    kernels: list[Tensor]
    mask_features: Tensor

    def mask_logits(self, image: int, cells: list[Tensor]) -> list[Tensor]:
        """One image's masks of chosen cells, [P, H / 4, W / 4] a level."""
        kernels = [k[image].flatten(1)[:, c].T for k, c in zip(self.kernels, cells, strict=True)]
        logits = form_masks(torch.cat(kernels), self.mask_features[image])
        return list(logits.split([len(chosen) for chosen in cells]))

    def candidate_masks(self, cells: Tensor) -> Tensor:
        """Probabilities [N, P, H / 4, W / 4] of chosen cells of all levels."""
        kernels = torch.cat([k.flatten(2).transpose(1, 2) for k in self.kernels], dim=1)
        return form_masks(take_rows(kernels, cells), self.mask_features).sigmoid()


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
        width, depth, norm = config.head_channels, config.stacked_convs, config.norm
        self.category_tower = tower(config.fpn_channels, width, depth, norm)
        self.kernel_tower = tower(config.fpn_channels + 2, width, depth, norm)
        self.category = nn.Conv2d(width, config.num_classes, 3, padding=1)
        self.kernel = nn.Conv2d(width, config.mask_channels, 3, padding=1)
        self.mask_branch = MaskFeatureBranch(
            config.fpn_channels, config.mask_branch_channels, config.mask_channels, norm
        )
        initialise(self)
        start_unlikely(self.category)

    def forward(self, pyramid: list[Tensor]) -> SOLOv2Outputs:
        """P2..P6 to the raw answers of every level."""
        category_logits: list[Tensor] = []
        kernels: list[Tensor] = []
        for level in self.levels:
            cells = on_grid(append_coordinates(align(pyramid, level)), level)
            category_logits.append(self.category(self.category_tower(cells[:, :-2])))
            kernels.append(self.kernel(self.kernel_tower(cells)))
        return SOLOv2Outputs(category_logits, kernels, self.mask_branch(pyramid[:4]))


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
