"""Validation plan of a run: the films that are held out, and how often they are looked at."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

from model.configuration.recipe import Preset
from model.configuration.resolve import Say
from model.data.coco import CocoDataset
from model.data.split import Folds, describe_split, split_by_patient
from model.training.about import TrainedOn
from model.training.plan import Plan
from model.training.validation import Validation

Load = Callable[[Path], CocoDataset]
_VALIDATIONS = 30  # of a run, at most, where it is not said how often


def choose_films(plan: Plan, load: Load, say: Say) -> tuple[CocoDataset, CocoDataset | None]:
    """The films to train on, and those to validate on.

    Raises:
        ValueError: if the two have other classes, or there is no such fold.
    """
    data, settings = load(plan.data), plan.validation
    if settings.fold is not None:
        parts = split_by_patient(data, settings.fold, Folds.read(str(settings.folds)))
        say(describe_split(*parts))
        return parts
    if settings.val is None:
        return data, None
    held_out = load(Path(settings.val))
    held_out.labels_of(data.class_names)
    return data, held_out


def plan_validation(
    plan: Plan,
    preset: Preset,
    data: CocoDataset,
    held_out: CocoDataset | None,
    out: Path,
    say: Say,
) -> Validation | None:
    """The validation of a run; none without films to validate on."""
    settings = plan.validation
    if held_out is None:
        if settings.patience is not None or settings.validate_every is not None:
            raise ValueError("--patience and --validate-every need --val or --fold")
        say("No film is held out, so that nothing is measured: --fold 0 or --val DIR does.")
        return None
    steps_a_pass = len(data.images) / preset.train.batch_size
    passes = preset.train.iterations / steps_a_pass
    between = settings.validate_every or math.ceil(passes / _VALIDATIONS)
    every = max(1, round(between * steps_a_pass))
    say(f"validated every {every} steps ({_passes(between)}) on {len(held_out.images)} films")
    return Validation(held_out, every, settings.patience, out, trained_on(plan, data))


def _passes(count: float) -> str:
    return "1 pass" if count == 1 else f"{count:g} passes"


def trained_on(plan: Plan, data: CocoDataset) -> TrainedOn:
    """What about.toml says of the training."""
    return TrainedOn(str(plan.run.preset), (plan.name,), data)
