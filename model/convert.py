"""Weight conversion: a checkpoint of mmdetection's, WXinlong/SOLO's or AdelaiDet's weights.

    python -m model.convert PUBLISHED.pth --preset solov2-r50 --out solov2-r50.pt

The result is to be trained on: `python -m model.train --weights solov2-r50.pt`.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from model.cli import finish
from model.configuration.network import BackboneName
from model.configuration.presets import PRESETS, Categories
from model.configuration.recipe import Preset
from model.data.coco import load_coco
from model.network.backbone import Backbone
from model.network.checkpoint import CheckpointError, load_weights, save_checkpoint
from model.network.published_keys import Layout, layout_of, own_name
from model.network.solo_network import SoloNetwork

# What a published network subtracts from, and divides by, the channels of an image in 0 to 255.
_NORMALISATION: dict[Layout, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "mmdetection": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "wxinlong": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "adelaidet": ((103.53, 116.28, 123.675), (1.0, 1.0, 1.0)),  # blue, green, red
}
_CAFFE: dict[BackboneName, BackboneName] = {
    "resnet50": "resnet50_caffe",
    "resnet101": "resnet101_caffe",
}
_CATEGORY = ("head.category.weight", "head.category.bias")


def read_published(path: Path) -> dict[str, Tensor]:
    """Reads the weights of a published file, under its own names.

    Raises:
        CheckpointError: if it cannot be read without executing what is in it, or holds no weights.
    """
    try:
        document: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"there is no file {path}") from None
    except Exception as error:  # torch.load raises whatever its unpickler met
        raise CheckpointError(
            f"{path} holds more than weights, or is damaged ({type(error).__name__}); where it is "
            "trusted, load it and save its 'state_dict' or 'model' alone"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(document, dict) and isinstance(document.get(key), dict):
            document = document[key]
    if not isinstance(document, dict) or not document:
        raise CheckpointError(f"{path} holds no state dict")
    if not all(isinstance(value, Tensor) for value in document.values()):
        raise CheckpointError(f"{path} holds something else than tensors among its weights")
    weights = cast(dict[str, Tensor], document)
    return {key.removeprefix("module."): value for key, value in weights.items()}


def rename(published: dict[str, Tensor]) -> tuple[dict[str, Tensor], Layout]:
    """Published weights under this project's names, values untouched.

    Raises:
        CheckpointError: naming the first key that no SOLO network of this project has.
    """
    layout = layout_of(published)
    if layout is None:
        raise CheckpointError(f"'{next(iter(published))}' is no name of a published SOLO network")
    weights = {}
    for key, value in published.items():
        name = own_name(key, layout)
        if name is None or "conv_offset" in key:
            why = ": it is of a deformable convolution" if "conv_offset" in key else ""
            raise CheckpointError(f"'{key}' has no place in the networks of this project{why}")
        weights[name] = value
    return weights, layout


def convert(published: dict[str, Tensor], preset: Preset) -> tuple[SoloNetwork, bool]:
    """A network with published weights, strictly: each has its place, and none is missing.

    Args:
        published: weights under their own names.
        preset: the network; AdelaiDet's deeper backbones replace its own by their Caffe form.

    Returns:
        The network in evaluation mode, and whether its category layer was filled: it keeps its
        first weights where the class counts differ.

    Raises:
        CheckpointError: naming the first key that does not fit.
    """
    weights, layout = rename(published)
    config = preset.model
    if layout == "adelaidet":
        config = replace(config, backbone=_CAFFE.get(config.backbone, config.backbone))
    network = SoloNetwork(config)
    own = network.state_dict()
    if "backbone.conv1.weight" in weights and weights["backbone.conv1.weight"].shape[1] == 3:
        _see_grey(weights, network.backbone, layout)
    for name, value in own.items():
        if name.endswith(".num_batches_tracked"):  # counts training steps; frozen norms have none
            weights.setdefault(name, torch.zeros_like(value))
    classes = weights.get(_CATEGORY[1])
    fits = classes is None or len(classes) == config.num_classes
    if not fits:
        weights.update({name: own[name] for name in _CATEGORY})
    load_weights(network, weights)
    return network.eval(), fits


def _see_grey(weights: dict[str, Tensor], backbone: Backbone, layout: Layout) -> None:
    """Makes the first convolution see a grey film as it saw three equal colour channels.

    A colour network normalises each channel by its own mean. The constant by which that differs
    from one grey mean goes into the mean of the norm that follows. Only where the convolution
    reaches over the film's border, and pads, is the result another.
    """
    mean, std = (torch.tensor(values) / 255 for values in _NORMALISATION[layout])
    scaled = weights["backbone.conv1.weight"] / std[:, None, None]
    offsets = ((backbone.input_mean - mean)[:, None, None] * scaled).sum((1, 2, 3))
    weights["backbone.conv1.weight"] = scaled.sum(1, keepdim=True) * backbone.input_std
    weights["backbone.bn1.running_mean"] = weights["backbone.bn1.running_mean"] - offsets


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m model.convert",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("published", type=Path, help="a .pth file")
    parser.add_argument("--preset", choices=sorted(PRESETS), required=True)
    parser.add_argument("--out", type=Path, required=True, help="must not exist")
    parser.add_argument("--data", type=Path, help="a COCO data set whose classes it is to have")
    arguments = parser.parse_args(argv)
    return finish(lambda: _convert_file(arguments), before="not converted: ")


def _convert_file(arguments: argparse.Namespace) -> None:
    if arguments.out.exists():
        raise CheckpointError(f"{arguments.out} exists already")
    published = read_published(arguments.published)
    preset = PRESETS[arguments.preset](_categories(published, arguments.data))
    torch.manual_seed(0)  # of a category layer that is not filled
    network, fits = convert(published, preset)
    document = Preset(network.config, preset.train)
    save_checkpoint(arguments.out, document, {"weights": network.state_dict()})
    classes = f"{network.config.num_classes} classes"
    which = (
        "all weights are the published ones"
        if fits
        else "all weights but the category layer's are the published ones: its classes are others"
    )
    print(f"{arguments.out}: {classes}, {which}")  # noqa: T201  # the command's answer


def _categories(published: dict[str, Tensor], data: Path | None) -> Categories:
    """The data set's classes, or as many numbered ones as the file has."""
    if data is not None:
        dataset = load_coco(data)
        return dataset.class_names, dataset.category_ids
    weights, _ = rename(published)
    if _CATEGORY[1] not in weights:
        raise CheckpointError("the file has no category layer: name the classes with --data")
    numbers = range(1, len(weights[_CATEGORY[1]]) + 1)
    return tuple(f"class {number}" for number in numbers), tuple(numbers)


if __name__ == "__main__":
    raise SystemExit(main())
