"""Exported graph as one module: network, candidate selection, masks and Matrix NMS."""

from __future__ import annotations

from torch import Tensor, nn

from model.network.postprocess import find_instances
from model.network.solo_network import SoloNetwork


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
