"""Advice that training takes: what the doctor found, as a training.toml in the data set."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from datasets.doctor.cells import Survey
from datasets.doctor.resolution import CanvasFit
from model.configuration.network import ModelConfig
from model.training.plan import ADVICE

_CROWDED = 0.05  # of the objects that share cells

Reason = tuple[str, Any]  # a sentence, and the value that follows
Look = Callable[[ModelConfig], Survey]


def advice_path(data: Path) -> Path:
    """Where a data set's advice is: training takes it from there."""
    return (data if data.is_dir() else data.parent) / ADVICE


def advise(
    current: Survey, better: Survey, preset: ModelConfig, fit: CanvasFit
) -> dict[str, Reason]:
    """The fields of a network that should differ from the preset's, each with its reason.

    Args:
        current: the objects under the preset, on the fitting canvas.
        better: the same under proposed levels, or `current`.
        preset: the preset's network.
        fit: of the canvas.
    """
    advice: dict[str, Reason] = {}
    if fit.size != fit.asked:
        why = (
            f"masks at a quarter of this canvas can reach an AP of {fit.best:.2f}, "
            f"at a quarter of the preset's {fit.reached:.2f}"
        )
        advice["canvas_size"] = (why, list(fit.size))
    shared = better.count("lost") + better.count("shared")
    if preset.shared_cells == "all" and shared > _CROWDED * len(better.objects):
        advice["shared_cells"] = (
            f"{shared} of {len(better.objects)} objects share cells; the smallest gets each",
            "smallest",
        )
    most = better.most_on_a_film()
    if most > preset.max_instances:
        advice["max_instances"] = (f"a film has {most} objects", most)
    if better is not current:
        lost = "objects lost or out of scale range"
        advice["levels"] = (
            f"{_bad(better)} {lost}, with the preset's {_bad(current)}",
            [asdict(level) for level in better.config.levels],
        )
    return advice


def write_advice(path: Path, preset: str, network: dict[str, Reason]) -> None:
    """Writes a training.toml with the reason above each value.

    Raises:
        FileExistsError: if there is one already.
    """
    with path.open("x", encoding="utf-8") as file:
        file.write("".join(_lines(preset, network)))


def _lines(preset: str, network: dict[str, Reason]) -> Iterator[str]:
    yield "# What the doctor advises for this data set; `python -m model.train --data` takes it.\n"
    yield f"preset = {json.dumps(preset)}\n"
    if not network:
        yield "\n# The preset fits: nothing is changed.\n"
        return
    yield "\n[network]\n"
    for name, (reason, value) in network.items():
        # Whole numbers, short words and lists of them are the same in JSON and in TOML.
        levels = ",".join(map(_table, value)) if name == "levels" else ""
        written = f"[{levels},\n]" if levels else json.dumps(value)
        yield f"# {reason}\n{name} = {written}\n"


def _table(level: dict[str, Any]) -> str:
    low, high = level["scale_range"]
    return (
        f"\n    {{ pyramid = {level['pyramid']}, stride = {level['stride']}, "
        f"num_grid = {level['num_grid']}, scale_range = [{low}, {high}] }}"
    )


def _bad(survey: Survey) -> int:
    return survey.count("lost") + survey.count("out of scale range")
