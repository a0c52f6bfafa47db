"""Common interface of the heads, and the head of each variant."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from model.configuration.network import ModelConfig
from model.network.decoupled_solo_head import DecoupledSOLOHead
from model.network.solo_head import SOLOHead
from model.network.solov2_head import SOLOv2Head

Head = SOLOHead | DecoupledSOLOHead | SOLOv2Head


class HeadOutputs(Protocol):
    """Interface of a head's raw outputs to training and inference."""

    @property
    def category_logits(self) -> list[Tensor]:
        """One [N, C, G, G] a level."""

    def mask_logits(self, image: int, cells: list[Tensor]) -> list[Tensor]:
        """The masks of chosen cells of one image, to train them.

        Args:
            image: its index in the batch.
            cells: int64 [P] a level, row * G + column; P may be 0 and differ.

        Returns:
            Logits [P, h, w] a level, at stride 4 (SOLOv2) or half the level's stride (the others).
        """

    def candidate_masks(self, cells: Tensor) -> Tensor:
        """The masks of chosen cells of every image.

        Args:
            cells: int64 [N, P], counted through all levels, finest first.

        Returns:
            Probabilities [N, P, H / 4, W / 4].
        """


def build_head(config: ModelConfig) -> Head:
    """The head of a variant, with its first weights."""
    match config.variant:
        case "solo":
            return SOLOHead(config)
        case "decoupled_solo":
            return DecoupledSOLOHead(config, light=False)
        case "decoupled_solo_light":
            return DecoupledSOLOHead(config, light=True)
        case "solov2":
            return SOLOv2Head(config)
