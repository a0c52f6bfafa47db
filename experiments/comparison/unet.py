"""A U-Net of MONAI, whose instances are connected components."""

from __future__ import annotations

import torch
from monai.losses import DiceCELoss
from monai.networks.nets import BasicUNet
from torch import Tensor, nn

from experiments.comparison.components import class_maps, find_components
from model.data.objects import Objects
from solo.contract.instances import Instances


class UNet:
    """MONAI's basic U-Net (five scales), one sigmoid a class.

    Args:
        classes: C.
        width: channels of its finest scale.
    """

    learning_rate = 1e-3

    def __init__(self, classes: int, width: int) -> None:
        self.classes = classes
        features = (width, width, 2 * width, 4 * width, 8 * width, width)
        network: nn.Module = BasicUNet(
            spatial_dims=2, in_channels=1, out_channels=classes, features=features
        )
        self.network = network
        self.criterion = DiceCELoss(sigmoid=True)

    def loss(self, images: Tensor, batch: list[Objects]) -> Tensor:
        """Dice and cross-entropy of the class maps."""
        targets = torch.stack([class_maps(objects, self.classes) for objects in batch])
        loss: Tensor = self.criterion(self.network(images), targets)
        return loss

    def find(self, canvas: Tensor) -> Instances:
        """The components of its class maps."""
        return find_components(self.network(canvas).sigmoid()[0].numpy())
