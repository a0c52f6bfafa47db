"""Trains a network on a data set in COCO format.

    python -m model.train --preset cxr-lungs --data DIR --out runs/mine

Run the same command again to go on after an interruption. Several processes train together when
torchrun starts them:

    torchrun --nproc-per-node 2 -m model.train --preset solov2-r50 --data DIR --out runs/mine
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import get_args

import torch

from model.cli import finish, tell
from model.configuration.presets import PRESETS
from model.configuration.recipe import PrecisionName, Preset
from model.data.coco import CocoDataset, load_coco
from model.data.split import split_by_patient
from model.evaluation.measure import measure, predict
from model.network.backbone import load_imagenet
from model.network.checkpoint import adopt_backbone, fine_tune
from model.network.device import usable_device
from model.network.solo_network import SoloNetwork
from model.training.distributed import ProcessGroup, own_device
from model.training.recipes import SCHEDULES, paper_recipe
from model.training.tensorboard import RunLog
from model.training.trainer import NonFiniteLossError, Trainer
from model.training.verify import load_readable


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    arguments = _parser().parse_args(argv)
    return finish(
        lambda: _join_and_train(arguments),
        NonFiniteLossError,
        interrupted="interrupted: the same command goes on from the last checkpoint, if there is "
        "one",
    )


def _join_and_train(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(_at_least("--threads", arguments.threads, 1))
    _at_least("--workers", arguments.workers, 0)
    _at_least("--seed", arguments.seed, 0)
    device = usable_device(own_device(arguments.device))
    group = ProcessGroup.join(device)
    try:
        _train(arguments, device, group)
    finally:
        group.leave()


def _train(arguments: argparse.Namespace, device: torch.device, group: ProcessGroup) -> None:
    load = load_coco if arguments.trust_films else partial(load_readable, group=group)
    data = load(arguments.data)
    held_out: CocoDataset | None = None
    if arguments.fold is not None:
        data, held_out = split_by_patient(data, arguments.fold, arguments.folds)
    data.require_objects()
    preset = _choose_preset(arguments, data)

    arguments.out.mkdir(parents=True, exist_ok=True)
    checkpoint = arguments.out / "checkpoint.pt"
    torch.manual_seed(arguments.seed)
    network = SoloNetwork(preset.model)
    goes_on = checkpoint.exists()
    if not goes_on:
        _initialise(network, arguments)
    trainer = Trainer(network.to(device), preset, data, arguments.seed, arguments.workers, group)
    if goes_on:
        trainer.resume(checkpoint)
        unused = ", and --weights is not used" if arguments.weights else ""
        _tell(group, f"{checkpoint} is there already: going on from step {trainer.step}{unused}")
    log = RunLog(arguments.out / "tensorboard", trainer.step) if group.rank == 0 else None
    try:
        trainer.run(checkpoint, log=log)
    finally:
        if log is not None:
            log.close()
    if held_out is not None and group.rank == 0:
        _measure(trainer, held_out, arguments.out / "metrics.json")


def _choose_preset(arguments: argparse.Namespace, data: CocoDataset) -> Preset:
    preset = PRESETS[arguments.preset]((data.class_names, data.category_ids))
    if arguments.weights:
        preset = adopt_backbone(preset, arguments.weights)
    train = preset.train
    if arguments.batch_size is not None:
        train = replace(train, batch_size=_at_least("--batch-size", arguments.batch_size, 1))
    if arguments.recipe is not None:
        train = paper_recipe(arguments.recipe, len(data.images), train.batch_size)
    if arguments.precision is not None:
        train = replace(train, precision=arguments.precision)
    if arguments.iterations is not None:
        train = replace(train, iterations=_at_least("--iterations", arguments.iterations, 1))
    return Preset(preset.model, train)


def _at_least(name: str, value: int, least: int) -> int:
    if value < least:
        raise ValueError(f"{name} must be {least} or more")
    return value


def _measure(trainer: Trainer, held_out: CocoDataset, path: Path) -> None:
    text = json.dumps(measure(held_out, predict(trainer.averaged, held_out)), indent=1)
    if path.exists():
        _tell(trainer.group, f"{path} is there already: it is replaced by this measurement")
    path.write_text(text + "\n", encoding="utf-8")
    print(text)  # noqa: T201  # the command's answer


def _tell(group: ProcessGroup, sentence: str) -> None:
    if group.rank == 0:
        tell(sentence)


def _initialise(network: SoloNetwork, arguments: argparse.Namespace) -> None:
    if arguments.weights:
        fine_tune(network, arguments.weights)
    elif arguments.backbone_weights or network.config.backbone == "efficientnet_lite0":
        load_imagenet(network.backbone, arguments.backbone_weights)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--preset", choices=sorted(PRESETS), required=True)
    add("--data", type=Path, required=True, help="a COCO data set: its folder, or its JSON file")
    add(
        "--out",
        type=Path,
        required=True,
        help="checkpoint.pt, metrics.json and tensorboard/ go here",
    )
    add("--recipe", choices=sorted(SCHEDULES), help="the papers' SGD schedule, not the preset's")
    add("--iterations", type=int, help="instead of the preset's")
    add("--batch-size", type=int, help="images a step, all processes together")
    add("--precision", choices=get_args(PrecisionName), help="of the network; losses are float32")
    add("--seed", type=int, default=0)
    add("--fold", type=int, help="hold this fold of patients out, and measure on it at the end")
    add("--folds", type=int, default=5)
    add("--weights", type=Path, help="a checkpoint to fine-tune")
    add("--trust-films", action="store_true", help="do not read every film before the first step")
    add("--backbone-weights", type=Path, help="a torchvision state dict for a ResNet")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--threads", type=int, default=torch.get_num_threads())
    add("--workers", type=int, default=0, help="processes that prepare samples")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
