"""A network that trains and exports in seconds: Lite0 under two narrow head levels."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import nn

from model.configuration.network import Level, ModelConfig
from model.configuration.presets import Categories
from model.configuration.recipe import Preset, TrainConfig
from model.network.backbone import load_imagenet
from model.network.solo_network import SoloNetwork

CATEGORIES: Categories = (("disc", "square"), (3, 9))


def tiny_config(**changes: Any) -> ModelConfig:
    """Two classes, 64 x 64 pixels, 80 cells: fewer candidates than instances in an answer."""
    class_names, category_ids = CATEGORIES
    defaults: dict[str, Any] = {
        "class_names": class_names,
        "category_ids": category_ids,
        "backbone": "efficientnet_lite0",
        "canvas_size": (64, 64),
        "levels": (Level(3, 8, 8, (1, 40)), Level(4, 16, 4, (20, 256))),
        "fpn_channels": 16,
        "head_channels": 16,
        "stacked_convs": 1,
        "mask_branch_channels": 16,
        "mask_channels": 16,
        "norm": "batch",
        "max_instances": 200,
    }
    return ModelConfig(**{**defaults, **changes})


def tiny_preset(iterations: int = 2, categories: Categories = CATEGORIES, **train: Any) -> Preset:
    """The tiny network with batches of two."""
    class_names, category_ids = categories
    config = tiny_config(class_names=class_names, category_ids=category_ids)
    return Preset(config, TrainConfig(iterations, **{"batch_size": 2, **train}))


def seeded(config: ModelConfig, seed: int = 0) -> SoloNetwork:
    """An untrained network; the global generator stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return SoloNetwork(config)


def lively(config: ModelConfig, seed: int = 0) -> SoloNetwork:
    """A network that finds objects of all kinds in any film, without training, to evaluate.

    The head's weights keep the variance of their input, and half of its categories are likely, but
    none so certain that its score is 1: equal scores have no order that could be compared.
    """
    network = seeded(config, seed)
    load_imagenet(network.backbone)
    return enliven(network, seed)


def enliven(network: SoloNetwork, seed: int = 0) -> SoloNetwork:
    """Gives the head of any variant the weights that `lively` describes."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.head.modules():
        if isinstance(module, nn.Conv2d):
            spread = (2 / module.weight[0].numel()) ** 0.5
            nn.init.normal_(module.weight, std=spread, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    with torch.no_grad():
        network.head.category.weight.mul_(0.2)
    return network.eval()


class FourConvolutions(nn.Sequential):
    """A backbone of which a graph is traced in a second: C2..C5 by one convolution each."""

    channels = (8, 16, 24, 32)
    input_mean = 0.449
    input_std = 0.226

    def __init__(self, seed: int = 0) -> None:
        super().__init__(
            nn.Conv2d(1, 8, 4, 4), *(nn.Conv2d(a, b, 2, 2) for a, b in pairwise(self.channels))
        )
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            spread = parameter[0].numel() ** -0.5
            nn.init.normal_(parameter, std=spread, generator=generator)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """[N, 1, H, W] to C2..C5 at strides 4, 8, 16 and 32."""
        features = []
        for convolution in self:
            x = torch.tanh(convolution(x)) * 2
            features.append(x)
        return features
