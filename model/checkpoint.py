"""Checkpoints: everything a run needs to go on, and weights that carry their configuration."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from model.config import ModelConfig, Preset, TrainConfig
from model.segmenter import Segmenter


class CheckpointError(ValueError):
    """The file is no checkpoint of this project, or does not fit."""


def save_checkpoint(path: Path, preset: Preset, state: dict[str, Any]) -> None:
    """Writes a checkpoint; a reader never sees half of one.

    Args:
        path: replaced if it exists.
        preset: the network and its recipe.
        state: what `model.engine.Trainer` needs to go on; holds `weights` at least.
    """
    document = {"model": preset.model.to_dict(), "train": asdict(preset.train), **state}
    partial = path.with_name(path.name + ".partial")
    torch.save(document, partial)
    os.replace(partial, path)


def load_checkpoint(path: Path) -> tuple[Preset, dict[str, Any]]:
    """Reads a checkpoint without executing anything in it.

    Raises:
        CheckpointError: if it cannot be read as one.
    """
    try:
        document: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        model = ModelConfig.from_dict(document.pop("model"))
        preset = Preset(model, TrainConfig(**document.pop("train")))
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint {path}") from None
    except Exception as error:  # torch.load raises whatever its unpickler met
        raise CheckpointError(f"{path} is not a checkpoint of this project: {error}") from error
    if "weights" not in document:
        raise CheckpointError(f"{path} holds no weights")
    return preset, document


def keep_weights(path: Path, out: Path) -> None:
    """Writes a checkpoint's averaged weights alone: to fine-tune from, not to resume.

    Raises:
        CheckpointError: if the file is no checkpoint.
    """
    preset, state = load_checkpoint(path)
    save_checkpoint(out, preset, {"weights": state["weights"]})


def load_segmenter(path: Path) -> Segmenter:
    """The network of a checkpoint with its averaged weights, in evaluation mode.

    Raises:
        CheckpointError: if the file is no checkpoint or its weights do not fit its configuration.
    """
    preset, state = load_checkpoint(path)
    segmenter = Segmenter(preset.model)
    load_weights(segmenter, state["weights"])
    return segmenter.eval()


def load_weights(segmenter: Segmenter, weights: dict[str, torch.Tensor]) -> None:
    """Loads weights strictly, naming the first key that does not fit.

    Raises:
        CheckpointError: if a key is missing, unknown or of another shape.
    """
    own = segmenter.state_dict()
    for key in [*own, *weights]:
        if key not in weights:
            raise CheckpointError(f"the weights lack '{key}': they are of another architecture")
        if key not in own:
            raise CheckpointError(f"the network has no '{key}': the weights are of another one")
        if own[key].shape != weights[key].shape:
            found, wanted = list(weights[key].shape), list(own[key].shape)
            raise CheckpointError(f"'{key}' is {found} in the weights, {wanted} in the network")
    segmenter.load_state_dict(weights)


def adopt_backbone(preset: Preset, path: Path) -> Preset:
    """The preset on the Caffe form of its backbone, where a checkpoint to start from has that.

    Raises:
        CheckpointError: if the file is no checkpoint.
    """
    kept, _ = load_checkpoint(path)
    if kept.model.backbone != f"{preset.model.backbone}_caffe":
        return preset
    return replace(preset, model=replace(preset.model, backbone=kept.model.backbone))


def fine_tune(segmenter: Segmenter, path: Path) -> None:
    """Starts from another checkpoint's weights; the category layer stays where classes differ.

    Raises:
        CheckpointError: if anything but the category layer does not fit.
    """
    kept, state = load_checkpoint(path)
    found, wanted = kept.model.backbone, segmenter.config.backbone
    if found != wanted:  # two forms of a ResNet have the same keys and shapes
        raise CheckpointError(f"{path} has the backbone {found}, the network has {wanted}")
    weights: dict[str, torch.Tensor] = dict(state["weights"])
    own = segmenter.state_dict()
    if weights["head.category.bias"].shape != own["head.category.bias"].shape:
        for key in ("head.category.weight", "head.category.bias"):
            weights[key] = own[key]
    load_weights(segmenter, weights)
