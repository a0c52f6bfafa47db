"""The contenders by name, each as large as this project's network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch

from experiments.comparison.contender import Contender
from experiments.comparison.race import count_weights
from experiments.comparison.solo import Solo
from model.configuration.network import ModelConfig
from model.network.backbone import load_imagenet

EntrantName = Literal["solo", "unet", "mask2former", "solo-imagenet"]
ENTRANTS: tuple[EntrantName, ...] = get_args(EntrantName)
FROM_NOTHING: tuple[EntrantName, ...] = ("solo", "unet", "mask2former")
_WIDTHS = range(8, 97, 8)


def enter(name: EntrantName, config: ModelConfig, seed: int) -> Contender:
    """A contender with random weights, of the width that comes nearest to SOLO's weights.

    `solo-imagenet` alone begins with a backbone that has seen ImageNet: no package has the others'.

    Args:
        name: one of `ENTRANTS`.
        config: of the SOLO network, which the others are to match in size and classes.
        seed: of the weights.

    Raises:
        ImportError: if its library is not installed.
    """
    torch.manual_seed(seed)
    own = Solo(config)
    if name == "solo-imagenet":
        load_imagenet(own.network.backbone)
    if name in ("solo", "solo-imagenet"):
        return own
    build = _builder(name)
    target = count_weights(own.network)
    with torch.device("meta"):  # shapes without numbers
        sizes = {w: count_weights(build(config.num_classes, w).network) for w in _WIDTHS}
    torch.manual_seed(seed)
    return build(config.num_classes, min(sizes, key=lambda width: abs(sizes[width] - target)))


def _builder(name: EntrantName) -> Callable[[int, int], Contender]:
    # Only here: each needs a library that the others do not.
    if name == "unet":
        from experiments.comparison.unet import UNet

        return UNet
    from experiments.comparison.mask2former import Mask2Former

    return Mask2Former
