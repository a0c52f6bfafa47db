"""Trains a network on a data set in COCO format.

    python -m model.train --data DIR --preset cxr-lungs --epochs 50 --out runs/mine
    python -m model.train --config runs/mine/config.toml --out runs/again

The doctor's training.toml in DIR is taken where there is no --config. Run the same command again to
go on after an interruption. Several processes train together when torchrun starts them:

    torchrun --nproc-per-node 2 -m model.train --preset solov2-r50 --data DIR --out runs/mine
"""

from __future__ import annotations

import argparse
import os
from contextlib import nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch

from model.cli import finish, tell
from model.configuration.resolve import Say
from model.configuration.run import RUN, RunSettings
from model.configuration.toml_file import read_toml, write_toml
from model.data.coco import CocoDataset, load_coco
from model.data.seen_films import require_apart, require_unseen, unknown_films
from model.network.checkpoint import adopt_backbone, trained_films
from model.network.device import usable_device
from model.network.solo_network import SoloNetwork
from model.training.about import write_about
from model.training.claim import claimed
from model.training.distributed import ProcessGroup, own_device
from model.training.memory_plan import choose_batch, tell_memory
from model.training.observers import Log, Logs
from model.training.options import build_parser, layer_of
from model.training.plan import Plan, make_plan, resolve
from model.training.progress import describe_run
from model.training.start import initialise
from model.training.step import NonFiniteLossError
from model.training.tensorboard import RunLog
from model.training.trackers import TRACKERS, check_installed
from model.training.trainer import Trainer
from model.training.validation import Validation
from model.training.validation_plan import choose_films, plan_validation, trained_on
from model.training.verify import load_readable


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    arguments = build_parser(__doc__).parse_args(argv)
    return finish(
        lambda: _join_and_train(arguments),
        NonFiniteLossError,
        interrupted="interrupted: the same command goes on from the last checkpoint, if there is "
        "one",
    )


def _join_and_train(arguments: argparse.Namespace) -> None:
    torch.set_num_threads(_at_least("--threads", arguments.threads, 1))
    _at_least("--workers", arguments.workers, 0)
    _at_least("--save-every", arguments.save_every, 1)
    for name in arguments.log:
        check_installed(name)
    device = usable_device(own_device(arguments.device))
    group = ProcessGroup.join(device)
    try:
        _train(arguments, device, group)
    finally:
        group.leave()


def _train(arguments: argparse.Namespace, device: torch.device, group: ProcessGroup) -> None:
    say: Say = tell if group.rank == 0 else lambda _: None
    plan = make_plan(arguments.config, layer_of(arguments), say)
    out = arguments.out or Path("runs") / plan.name
    _require_writable(out)  # before films are read, which takes long
    load = load_coco if arguments.trust_films else partial(load_readable, group=group)
    data, held_out = choose_films(plan, load, say)
    data.require_objects()
    seen = _seen_before(plan, held_out, say)
    if held_out is not None:
        require_apart(data, held_out)
    checkpoint = out / "checkpoint.pt"
    goes_on = _goes_on(checkpoint, group)
    plan = choose_batch(plan, data, arguments.recipe, checkpoint, (device, group), say)
    preset = resolve(plan, data, arguments.recipe, say)
    if plan.run.weights:
        preset = adopt_backbone(preset, Path(plan.run.weights))

    torch.manual_seed(plan.run.seed)
    network = SoloNetwork(preset.model)
    if not goes_on:
        initialise(network, plan.run, preset, say)
    trainer = Trainer(network.to(device), preset, data, plan.run.seed, arguments.workers, group)
    trainer.seen_before = seen
    for note in trainer.stream.notes():
        say(note)
    validation = plan_validation(plan, preset, data, held_out, out, say)
    if goes_on:
        _go_on(trainer, checkpoint, validation, plan, say)
    say(describe_run(preset.train, len(data.images)))
    tell_memory(trainer, say)
    with claimed(out) if group.rank == 0 else nullcontext():
        log = None
        if group.rank == 0:
            config = out / "config.toml"
            run = _as_begun(plan.run, config) if goes_on else plan.run
            write_toml(config, run, preset, plan.validation)
            log = _open_logs(out, trainer, arguments.log)
        try:
            trainer.run(checkpoint, arguments.save_every, log, validation)
        finally:
            if log is not None:
                log.close()
        if validation is None and group.rank == 0:
            about = out / "about.toml"
            write_about(about, preset.model, trained_on(plan, data))
            say(f"the weights are in {checkpoint}; before python -m export, complete {about}")


def _seen_before(plan: Plan, held_out: CocoDataset | None, say: Say) -> tuple[str, ...]:
    """Digests of the films that the weights to start from were trained on: none held out."""
    if not plan.run.weights:
        return ()
    weights = Path(plan.run.weights)
    trained = trained_films(weights)
    if held_out is not None and trained is None:
        say(unknown_films(weights))
    elif held_out is not None and trained is not None:
        require_unseen(weights, trained, held_out, held_out)
    return tuple(trained or ())


def _require_writable(out: Path) -> None:
    place = next(each for each in (out, *out.absolute().parents) if each.exists())
    if not place.is_dir():
        raise NotADirectoryError(f"{place} is a file: --out must be a folder, new or of this run")
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(f"nothing can be written in {place}: give another --out")


def _goes_on(checkpoint: Path, group: ProcessGroup) -> bool:
    """Whether there is a checkpoint to go on from, for all processes alike."""
    found = int(checkpoint.exists())
    if group.highest(found) != group.lowest(found):
        raise ValueError(
            f"{checkpoint} is there for some of the processes only: copy it to every machine, or "
            "let --out be a folder that they share"
        )
    return bool(found)


def _go_on(
    trainer: Trainer, checkpoint: Path, validation: Validation | None, plan: Plan, say: Say
) -> None:
    length = trainer.resume(checkpoint, validation)
    given = {"--weights": plan.run.weights, "--backbone-weights": plan.run.backbone_weights}
    flags = " and ".join(flag for flag, path in given.items() if path)
    unused = f", without {flags}" if flags else ""
    say(f"{checkpoint} is there already: going on from step {trainer.step}{unused}")
    if length:
        say(length)
    if trainer.step == trainer.preset.train.iterations:
        say("nothing is left to do: all steps are made. More --epochs or --iterations go on")
    elif trainer.stopped:
        say("the validation has stopped this run: more --epochs go on, if there is a need")


def _as_begun(run: RunSettings, config: Path) -> RunSettings:
    """The settings with the weights that the run began with, whatever is named now."""
    if not config.exists():
        return run
    begun = read_toml(config).tables[RUN]
    return replace(
        run, weights=begun.get("weights"), backbone_weights=begun.get("backbone_weights")
    )


def _open_logs(out: Path, trainer: Trainer, names: list[str]) -> Log:
    settings = {**asdict(trainer.preset.train), "canvas": trainer.preset.model.canvas_size}
    trackers = [TRACKERS[name](out, settings) for name in names]
    return Logs(RunLog(out / "tensorboard", trainer.step), *trackers)


def _at_least(name: str, value: int, least: int) -> int:
    if value < least:
        raise ValueError(f"{name} must be {least} or more")
    return value


if __name__ == "__main__":
    raise SystemExit(main())
