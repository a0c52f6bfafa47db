"""Mask2Former of transformers, built from its configuration."""

from __future__ import annotations

from torch import Tensor, nn
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, ResNetConfig

from experiments.comparison.queries import read_queries
from model.data.objects import Objects
from solo.contract.instances import Instances

_HIDDEN = 128


class Mask2Former:
    """A small Mask2Former on a ResNet of basic blocks.

    Args:
        classes: C.
        width: channels of the ResNet's first stage; the fourth has eight times as many.
    """

    learning_rate = 2e-4

    def __init__(self, classes: int, width: int) -> None:
        backbone = ResNetConfig(
            num_channels=1,
            embedding_size=width,
            hidden_sizes=[width, 2 * width, 4 * width, 8 * width],
            depths=[2, 2, 2, 2],
            layer_type="basic",
            out_features=["stage1", "stage2", "stage3", "stage4"],
        )
        config = Mask2FormerConfig(
            backbone_config=backbone,
            num_labels=classes,
            num_queries=100,
            hidden_dim=_HIDDEN,
            feature_size=_HIDDEN,
            mask_feature_size=_HIDDEN,
            encoder_layers=3,
            encoder_feedforward_dim=2 * _HIDDEN,
            dim_feedforward=2 * _HIDDEN,
            decoder_layers=6,
        )
        network: nn.Module = Mask2FormerForUniversalSegmentation(config)
        self.network = network

    def loss(self, images: Tensor, batch: list[Objects]) -> Tensor:
        """Its own: matched queries, at every layer of the decoder."""
        loss: Tensor = self.network(
            pixel_values=images,
            mask_labels=[(objects.masks >= 128).float() for objects in batch],
            class_labels=[objects.labels for objects in batch],
        ).loss
        return loss

    def find(self, canvas: Tensor) -> Instances:
        """The best queries."""
        found = self.network(pixel_values=canvas)
        return read_queries(found.class_queries_logits[0], found.masks_queries_logits[0])
