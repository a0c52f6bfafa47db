"""Resumption: whether a checkpoint is of the same run, and what another length means."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from model.configuration.recipe import Preset
from model.network.checkpoint import CheckpointError
from model.training.optimisation import learning_rate_factor

_SHORT = 40  # characters of a value that stands in a sentence


def check_same_run(
    path: Path, kept: tuple[Preset, dict[str, Any]], own: tuple[Preset, int, list[int]]
) -> None:
    """Checks that a run may go on from a checkpoint: only its length may differ.

    Args:
        path: in the error.
        kept: the checkpoint's preset and state.
        own: the run's preset, seed and image ids.

    Raises:
        CheckpointError: naming each setting that differs, both values, and what to do.
    """
    (preset, state), (own_preset, seed, films) = kept, own
    if "optimizer" not in state:
        raise CheckpointError(f"{path} holds weights only: start from it with --weights")
    found = [*_differences(preset, own_preset)]
    if state.get("seed") != seed:
        found.append(f"seed ({state.get('seed')} there, {seed} now)")
    if found:
        raise CheckpointError(
            f"{path} is of a run with other settings: {'; '.join(found)}. It cannot be resumed: "
            "give these as they were, or another --out"
        )
    if state.get("films") != films:
        raise CheckpointError(
            f"{path} is of a run on other films: it cannot be resumed. Start from it with "
            "--weights, and give another --out"
        )
    step, length = state.get("step"), own_preset.train.iterations
    if isinstance(step, int) and step > length:
        raise CheckpointError(f"{path} has made {step} steps already, more than {length}")


def check_same_content(path: Path, state: dict[str, Any], content: str) -> None:
    """Checks that films and outlines are as they were, in checkpoints that say how they were.

    Raises:
        CheckpointError: if not, since the weights would be those of neither data set.
    """
    if state.get("content", content) != content:
        raise CheckpointError(
            f"films or outlines have changed since {path} was saved: it cannot be resumed. Start "
            "from it with --weights, and give another --out"
        )


def describe_length(step: int, before: Preset, now: Preset) -> str | None:
    """What the schedule does in a run that goes on with another length; None for the same."""
    old, new = before.train.iterations, now.train.iterations
    if old == new:
        return None
    fell = learning_rate_factor(max(0, step - 1), before.train)
    goes_on = learning_rate_factor(min(step, new - 1), now.train)
    return (
        f"a run of {old} steps goes on to {new}: the learning rate, which was {fell:.0%} of its "
        f"peak, goes on at {goes_on:.0%}, as in a run of {new} steps from the start. The weights "
        "are not those of such a run"
    )


def _differences(kept: Preset, own: Preset) -> Iterator[str]:
    for table, one, other in (
        ("network", asdict(kept.model), asdict(own.model)),
        ("training", asdict(kept.train), asdict(own.train)),
    ):
        augmentation = one.pop("augmentation", {}), other.pop("augmentation", {})
        one |= {f"augmentation.{key}": value for key, value in augmentation[0].items()}
        other |= {f"augmentation.{key}": value for key, value in augmentation[1].items()}
        for key, value in one.items():
            if value != other[key] and key != "iterations":
                said = f"{table}.{key}".replace("training.augmentation", "augmentation")
                yield said + _both(value, other[key])


def _both(there: object, now: object) -> str:
    said = f" ({there} there, {now} now)"
    return said if len(said) < 2 * _SHORT else ""
