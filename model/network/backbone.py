"""Backbones by name, and their ImageNet weights on one grey channel."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from model.configuration.network import BackboneName
from model.network.convnext import ConvNeXtTiny
from model.network.efficientnet_lite import EfficientNetLite0, imagenet_state_dict
from model.network.resnet import BasicBlock, Bottleneck, CaffeBottleneck, ResNet
from model.network.state_dict import first_misfit

Backbone = ResNet | EfficientNetLite0 | ConvNeXtTiny
_CLASSIFIERS = ("fc.", "classifier.")


def build_backbone(name: BackboneName, in_channels: int = 1) -> Backbone:
    """A backbone with random weights; its `channels` are the widths of C2..C5."""
    match name:
        case "resnet18":
            return ResNet(BasicBlock, (2, 2, 2, 2), in_channels)
        case "resnet34":
            return ResNet(BasicBlock, (3, 4, 6, 3), in_channels)
        case "resnet50":
            return ResNet(Bottleneck, (3, 4, 6, 3), in_channels)
        case "resnet101":
            return ResNet(Bottleneck, (3, 4, 23, 3), in_channels)
        case "resnet50_caffe":
            return ResNet(CaffeBottleneck, (3, 4, 6, 3), in_channels)
        case "resnet101_caffe":
            return ResNet(CaffeBottleneck, (3, 4, 23, 3), in_channels)
        case "efficientnet_lite0":
            return EfficientNetLite0(in_channels)
        case "convnext_tiny":
            return ConvNeXtTiny(in_channels)


def load_imagenet(backbone: Backbone, weights: Path | None = None) -> None:
    """Fills a backbone with ImageNet weights.

    Args:
        backbone: any of `build_backbone`.
        weights: a torchvision state dict for a ResNet or ConvNeXt; EfficientNet-Lite0 brings its
            own.

    Raises:
        ValueError: if another backbone is given no weights, or they cannot be read, or are another
            network's.
    """
    if weights is not None:
        state = _read_state_dict(weights)
    elif isinstance(backbone, EfficientNetLite0):
        state = imagenet_state_dict()
    else:
        raise ValueError(
            "this backbone needs a file of torchvision weights: no package carries them"
        )
    stem = next(iter(backbone.state_dict()))
    if backbone.state_dict()[stem].shape[1] == 1 and stem in state:
        # A grey image is an RGB image of three equal channels: the summed weights see the same.
        state[stem] = state[stem].sum(dim=1, keepdim=True)
    for name, own in backbone.state_dict().items():
        if name.endswith(".num_batches_tracked"):  # older files lack these counts of steps
            state.setdefault(name, torch.zeros_like(own))
    misfit = first_misfit(backbone.state_dict(), state)
    if misfit:
        raise ValueError(f"these weights are not of this backbone: {misfit}")
    backbone.load_state_dict(state)


def _read_state_dict(path: Path) -> dict[str, Tensor]:
    """A torchvision state dict without its classifier."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises whatever its unpickler met
        raise ValueError(f"{path} cannot be read as weights: {type(error).__name__}") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path} holds no state dict")
    return {key: value for key, value in state.items() if not key.startswith(_CLASSIFIERS)}
