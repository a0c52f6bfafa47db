"""Checkpoints: the whole state of a run, and weights that carry their configuration."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from model.configuration.network import ModelConfig
from model.configuration.recipe import Preset, TrainConfig
from model.network.solo_network import SoloNetwork
from model.network.state_dict import first_misfit

TRAINED_FILMS = "trained_films"  # digests (`model.data.seen_films`), in checkpoints and exports


class CheckpointError(ValueError):
    """The file is no checkpoint of this project, or does not fit."""


def save_checkpoint(path: Path, preset: Preset, state: dict[str, Any]) -> None:
    """Writes a checkpoint; a reader never sees half of one.

    Args:
        path: replaced if it exists.
        preset: the network and its recipe.
        state: what `model.training.trainer.Trainer` needs to go on; holds `weights` at least.
    """
    document = {"model": preset.model.to_dict(), "train": asdict(preset.train), **state}
    partial = path.with_name(path.name + ".partial")
    try:
        torch.save(document, partial)
        os.replace(partial, path)
    except RuntimeError as error:  # as which torch reports a full disk
        partial.unlink(missing_ok=True)
        raise OSError(
            f"{path} cannot be written: is the disk full? An earlier one stays as it was"
        ) from error


def load_checkpoint(path: Path) -> tuple[Preset, dict[str, Any]]:
    """Reads a checkpoint without executing anything in it.

    Raises:
        CheckpointError: if it cannot be read as one.
    """
    foreign = f"{path} is not a checkpoint of this project"
    try:
        document: Any = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint {path}") from None
    except Exception as error:  # torch.load raises whatever its unpickler met
        raise CheckpointError(
            f"{foreign}: it is damaged, or holds more than numbers and names"
        ) from error
    for key in ("model", "train", "weights"):
        if not isinstance(document, dict) or not isinstance(document.get(key), dict):
            raise CheckpointError(
                f"{foreign}: it has no '{key}' (published weights: python -m model.convert)"
            )
    try:
        model = ModelConfig.from_dict(document.pop("model"))
        preset = Preset(model, TrainConfig.from_dict(document.pop("train")))
    except (LookupError, TypeError, ValueError) as error:
        raise CheckpointError(f"{foreign}, or of another version of it: {error}") from error
    return preset, document


def keep_weights(path: Path, out: Path) -> None:
    """Writes a checkpoint's averaged weights alone: to fine-tune from, not to resume.

    The digests of the films that they were trained on stay with them.

    Raises:
        CheckpointError: if the file is no checkpoint.
    """
    preset, state = load_checkpoint(path)
    kept = {name: state[name] for name in ("weights", TRAINED_FILMS) if name in state}
    save_checkpoint(out, preset, kept)


def trained_films(path: Path) -> list[str] | None:
    """Digests of the films that a checkpoint was trained on, or None where it does not say.

    Raises:
        CheckpointError: if the file is no checkpoint.
    """
    films = load_checkpoint(path)[1].get(TRAINED_FILMS)
    return films if isinstance(films, list) else None


def load_network(path: Path) -> SoloNetwork:
    """Loads a checkpoint's network with its averaged weights, in evaluation mode.

    Raises:
        CheckpointError: if the file is no checkpoint or its weights do not fit its configuration.
    """
    preset, state = load_checkpoint(path)
    network = SoloNetwork(preset.model)
    load_weights(network, state["weights"])
    return network.eval()


def load_weights(network: SoloNetwork, weights: dict[str, torch.Tensor]) -> None:
    """Loads weights strictly, naming the first key that does not fit.

    Raises:
        CheckpointError: if a key is missing, unknown, of another shape, or holds no finite numbers.
    """
    misfit = first_misfit(network.state_dict(), weights)
    if misfit:
        raise CheckpointError(misfit)
    network.load_state_dict(weights)


def adopt_backbone(preset: Preset, path: Path) -> Preset:
    """The preset on the Caffe form of its backbone, where a checkpoint to start from has that.

    Raises:
        CheckpointError: if the file is no checkpoint.
    """
    kept, _ = load_checkpoint(path)
    if kept.model.backbone != f"{preset.model.backbone}_caffe":
        return preset
    return replace(preset, model=replace(preset.model, backbone=kept.model.backbone))


def fine_tune(network: SoloNetwork, path: Path) -> None:
    """Starts from another checkpoint's weights; the category layer stays where classes differ.

    Raises:
        CheckpointError: if anything but the category layer does not fit.
    """
    kept, state = load_checkpoint(path)
    weights: dict[str, torch.Tensor] = dict(state["weights"])
    own = network.state_dict()
    category = weights.get("head.category.bias")
    if category is not None and category.shape != own["head.category.bias"].shape:
        for key in ("head.category.weight", "head.category.bias"):
            weights[key] = own[key]
    misfit = first_misfit(own, weights)
    found, wanted = kept.model.backbone, network.config.backbone
    if misfit is None and found != wanted:  # two forms of a ResNet have the same keys and shapes
        misfit = f"the weights are for the backbone {found}, the network has {wanted}"
    if misfit:
        raise CheckpointError(f"{path}: {misfit}")
    network.load_state_dict(weights)
