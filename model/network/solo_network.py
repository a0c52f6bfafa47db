"""SOLO network of any variant: normalisation, backbone, FPN and head."""

from __future__ import annotations

from torch import Tensor, nn

from model.configuration.network import ModelConfig
from model.network.backbone import build_backbone
from model.network.fpn import FPN
from model.network.heads import HeadOutputs, build_head


class SoloNetwork(nn.Module):
    """A SOLO network of any variant for one-channel images."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = build_backbone(config.backbone)
        self.fpn = FPN(self.backbone.channels, config.fpn_channels)
        self.head = build_head(config)

    def forward(self, images: Tensor) -> HeadOutputs:
        """Raw head outputs of display-ready grey images.

        Args:
            images: float32 [N, 1, H, W] in [0, 1], letterboxed to the canvas.
        """
        outputs: HeadOutputs = self.head(self.fpn(self.backbone_maps(images)))
        return outputs

    def backbone_maps(self, images: Tensor) -> list[Tensor]:
        """C2..C5 of the same images, [N, C, H / stride, W / stride] each."""
        normalised = (images - self.backbone.input_mean) / self.backbone.input_std
        maps: list[Tensor] = self.backbone(normalised)
        return maps
