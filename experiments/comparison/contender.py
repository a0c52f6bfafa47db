"""What every network of the comparison offers, so that one loop trains and measures them all."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from model.data.objects import Objects
from solo.contract.instances import Instances

MIN_SCORE = 0.05  # of an instance, as in the presets' `nms_threshold`
MAX_INSTANCES = 100  # in a film, as COCO counts them


class Contender(Protocol):
    """A network, how it learns and how it answers. All start from random weights."""

    @property
    def network(self) -> nn.Module:
        """What is trained."""

    @property
    def learning_rate(self) -> float:
        """Peak rate of AdamW that its authors use, or that suits it."""

    def loss(self, images: Tensor, batch: list[Objects]) -> Tensor:
        """A scalar to minimise.

        Args:
            images: float32 [N, 1, H, W] in [0, 1].
            batch: the objects of each image, on its canvas.
        """

    def find(self, canvas: Tensor) -> Instances:
        """The instances in one image, float32 [1, 1, H, W], masks at any stride of it."""
