"""Memory plan of a run: what a step takes, told before the first, and a batch that fits a GPU."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from model.configuration.recipe import Preset
from model.configuration.resolve import Say
from model.configuration.run import Layer
from model.data.coco import CocoDataset
from model.data.dataset import TrainingStream
from model.network.checkpoint import load_checkpoint
from model.network.solo_network import SoloNetwork
from model.training.distributed import ProcessGroup
from model.training.memory import Meter, measure_step, meter_of
from model.training.options import AUTO
from model.training.plan import Plan, resolve
from model.training.trainer import Trainer

_TRIED = 2  # films


def tell_memory(trainer: Trainer, say: Say) -> None:
    """Says what a step takes; each process of a group takes as much."""
    if trainer.group.rank:
        return
    try:
        memory = measure_step(
            trainer.network, trainer.preset, trainer.stream, meter_of(trainer.device)
        )
    except OSError:
        say("what a step takes of memory cannot be measured here")
        return
    together = f", in each of {trainer.group.size} processes" if trainer.group.size > 1 else ""
    say(memory.describe(len(trainer.part), trainer.preset.train.accumulate) + together)


def choose_batch(
    plan: Plan,
    data: CocoDataset,
    recipe: str | None,
    checkpoint: Path,
    place: tuple[torch.device, ProcessGroup],
    say: Say,
    meter: Meter | None = None,
) -> Plan:
    """Puts a number in the place of `--batch-size auto`.

    Args:
        plan: of the run.
        data: the films to train on.
        recipe: as `resolve` takes it.
        checkpoint: of a run that goes on, with its batch.
        place: this process's device and group.
        say: told what was chosen.
        meter: of that device, by default.

    Raises:
        ValueError: on a CPU, or if not one film fits.
    """
    device, group = place
    if plan.flags.tables["training"].get("batch_size") != AUTO:
        return plan
    if checkpoint.exists():
        return _with_batch(plan, load_checkpoint(checkpoint)[0].train.batch_size)
    if device.type == "cpu" and meter is None:
        raise ValueError(
            "--batch-size auto finds the largest batch that a GPU's memory holds. On a CPU a "
            "larger batch is no faster: give a number, or leave the preset's"
        )
    preset = _alone(resolve(_with_batch(plan, None), data, recipe, lambda _: None))
    stream = TrainingStream(data, preset.model.canvas_size, _TRIED, 0, preset.train.augmentation)
    network = SoloNetwork(preset.model).to(device)
    memory = measure_step(network, preset, stream, meter or meter_of(device))
    fits = group.size * group.lowest(memory.largest_batch())
    if not fits:
        raise ValueError(f"not one film fits: {memory.describe(1, 1)}")
    say(f"--batch-size auto is {fits}: {memory.describe(fits // group.size, 1)}")
    return _with_batch(plan, fits)


def _with_batch(plan: Plan, batch_size: int | None) -> Plan:
    training = dict(plan.flags.tables["training"])
    del training["batch_size"]
    if batch_size is not None:
        training |= {"batch_size": batch_size, "accumulate": 1}
    return replace(plan, flags=Layer({**plan.flags.tables, "training": training}))


def _alone(preset: Preset) -> Preset:
    return replace(preset, train=replace(preset.train, accumulate=1))
