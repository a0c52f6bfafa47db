"""This project's network as a contender."""

from __future__ import annotations

import torch
from torch import Tensor

from model.configuration.network import ModelConfig
from model.data.objects import Objects
from model.network.postprocess import find_instances
from model.network.solo_network import SoloNetwork
from model.training.criterion import Criterion
from model.training.mixed_precision import in_float32
from solo.contract.instances import Instances


class Solo:
    """A SOLO network.

    Args:
        config: any variant's.
    """

    learning_rate = 2e-3

    def __init__(self, config: ModelConfig) -> None:
        self.network = SoloNetwork(config)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # no stub
        self.criterion = Criterion(config)

    def loss(self, images: Tensor, batch: list[Objects]) -> Tensor:
        """The category loss and the mask loss."""
        outputs = self.network(images.to(memory_format=torch.channels_last))
        return torch.stack([*self.criterion(in_float32(outputs), batch).values()]).sum()

    def find(self, canvas: Tensor) -> Instances:
        """What the graph answers."""
        scores, labels, masks = find_instances(self.network(canvas), self.network.config)
        return Instances.from_outputs(scores[0].numpy(), labels[0].numpy(), masks[0].numpy())
