"""Start of a run: the weights that training begins with."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from model.configuration.recipe import Preset
from model.configuration.resolve import Say
from model.configuration.run import RunSettings
from model.network.backbone import load_imagenet
from model.network.checkpoint import fine_tune
from model.network.solo_network import SoloNetwork


def initialise(network: SoloNetwork, run: RunSettings, preset: Preset, say: Say) -> None:
    """Loads the weights of a checkpoint or of ImageNet; random numbers are told aloud.

    Raises:
        ValueError: if weights do not fit, or random numbers would be frozen.
    """
    if run.weights:
        fine_tune(network, Path(run.weights))
    elif run.backbone_weights or network.config.backbone == "efficientnet_lite0":
        load_imagenet(
            network.backbone, Path(run.backbone_weights) if run.backbone_weights else None
        )
    else:
        _tell_random(network, preset, say)


def _tell_random(network: SoloNetwork, preset: Preset, say: Say) -> None:
    backbone, train = network.config.backbone, preset.train
    remedy = (
        "--backbone-weights takes a torchvision state dict of ImageNet, --weights a checkpoint "
        "of this project or of `python -m model.convert`"
    )
    normed = any(isinstance(module, nn.BatchNorm2d) for module in network.backbone.modules())
    if train.frozen_backbone:
        raise ValueError(f"{backbone} would stay at random numbers, frozen: {remedy}")
    if train.frozen_batch_norm and normed:
        raise ValueError(
            f"{backbone} starts from random numbers, and its batch norms would be frozen at "
            f"statistics that nothing has measured: {remedy}; or let them learn by "
            "--no-frozen-batch-norm"
        )
    say(
        f"WARNING: {backbone} starts from random numbers and needs many more films and steps than "
        f"from ImageNet: {remedy}"
    )
