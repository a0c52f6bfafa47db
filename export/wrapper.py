"""Exported graph as one module: network, candidate selection, masks and Matrix NMS."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.network.postprocess import find_instances
from model.network.solo_network import SoloNetwork

FEATURES_NAME = "features"
"""The tensor of which a graph makes its out-of-distribution score."""


class OnnxNetwork(nn.Module):
    """Network, candidate selection, mask formation and Matrix NMS in one graph.

    Args:
        network: in evaluation mode.
    """

    def __init__(self, network: SoloNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Images to `scores`, `labels` and `masks`.

        Args:
            images: float32 [N, 1, H, W] in [0, 1].

        Returns:
            float32 [N, K], int64 [N, K] and uint8 [N, K, H / 4, W / 4], as in
            `model.network.postprocess.find_instances`.
        """
        return find_instances(self.network(images), self.network.config)


class OnnxNetworkWithFeatures(nn.Module):
    """`OnnxNetwork` with one output more: what the out-of-distribution score is made of.

    Args:
        network: in evaluation mode.
    """

    def __init__(self, network: SoloNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Images to `scores`, `labels`, `masks` and `features`, float32 [N, 2 C]."""
        maps = self.network.backbone_maps(images)
        outputs = self.network.head(self.network.fpn(maps))
        return (*find_instances(outputs, self.network.config), pool(maps[-1]))


def pool(feature_map: Tensor) -> Tensor:
    """Mean and standard deviation of each channel over a map.

    Args:
        feature_map: [N, C, H, W].

    Returns:
        float32 [N, 2 C], the means first.
    """
    values = feature_map.float()
    mean = values.mean((2, 3), keepdim=True)
    away = values - mean
    deviation = (away * away).mean((2, 3)).sqrt()
    return torch.cat((mean.flatten(1), deviation), 1)
