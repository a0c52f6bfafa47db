"""Data set report before training: what will go wrong with a data set and a preset.

python -m datasets.doctor --data DIR --preset solov2-light-r18 --page page.png

Reads every film, draws every object on the preset's canvas and assigns it as training does. Ends
with 1 where training would refuse the data set, else with 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from datasets.doctor.advice import (
    Look,
    advice_path,
    advise,
    write_advice,
)
from datasets.doctor.boxes import find_contradicted
from datasets.doctor.cells import PlacedImage, Survey, place_objects, survey
from datasets.doctor.findings import compare, counted, examine
from datasets.doctor.page import draw_page
from datasets.doctor.proposals import describe_levels, propose
from datasets.doctor.resolution import CanvasFit, find_coarseness, fit_canvas
from model.cli import finish
from model.configuration.network import ModelConfig
from model.configuration.presets import PRESETS
from model.configuration.resolve import on_canvas
from model.data.coco import CocoDataset, load_coco
from model.training.plan import ADVICE
from model.training.verify import load_readable

_MEASURED = 20  # films whose outlines are compared at their own size


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    arguments = _parser().parse_args(argv)
    return finish(lambda: _examine(arguments))


def _examine(arguments: argparse.Namespace) -> None:
    if arguments.page and arguments.page.exists():
        raise FileExistsError(f"{arguments.page} is there already: nothing is overwritten")
    if arguments.page and not arguments.page.parent.is_dir():
        raise FileNotFoundError(f"{arguments.page.parent} is not a folder")
    if arguments.page and arguments.page.suffix.lower() != ".png":
        raise ValueError(f"{arguments.page} must end with .png: the page is a picture")
    if arguments.propose and advice_path(arguments.data).exists():
        raise FileExistsError(
            f"{advice_path(arguments.data)} is there already: nothing is overwritten"
        )
    if arguments.films < 1:
        raise ValueError("--films must be 1 or more")
    data = load_readable(arguments.data)
    other = load_coco(arguments.other) if arguments.other else None
    objects = sum(len(record.annotations) for record in data.images)
    images, objects_of = counted(len(data.images), "image"), counted(objects, "object")
    _say(f"{images}, {objects_of} of {counted(len(data.class_names), 'class', 'classes')}.")
    _list([*examine(data), *find_contradicted(data)])
    if other is not None:
        _list(compare(data, other))
    data.require_objects()

    preset = PRESETS[arguments.preset]((data.class_names, data.category_ids)).model
    data = _sample(data, arguments.films)
    seen, look = _look(data, preset)
    _say(f"\n{arguments.preset}, on a canvas of {preset.canvas_size}:")
    _list(seen.findings() or ["every object has a cell of its own."])
    fit = fit_canvas(_thin_out(data, _MEASURED), preset.canvas_size)
    _list(find_coarseness(fit))
    better = propose(seen, look)
    if better is not seen:
        _say(f"\nProposed instead, {_counted(seen)} becomes {_counted(better)}:")
        _say(describe_levels(better.config))
    if arguments.propose:
        _propose(arguments, data, fit, (preset, seen, better))
    if arguments.page:
        _, png = cv2.imencode(".png", draw_page(data, seen))
        arguments.page.write_bytes(png.tobytes())


def _look(data: CocoDataset, config: ModelConfig) -> tuple[Survey, Look]:
    """The objects under a configuration, and a way to survey them under others of its canvas."""
    progress = tqdm(data.images, desc="placing objects", unit="film")
    placed = [PlacedImage.of(place_objects(record, config.canvas_size)) for record in progress]

    def look(other: ModelConfig) -> Survey:
        return survey(data, placed, other)

    return look(config), look


def _propose(
    arguments: argparse.Namespace,
    data: CocoDataset,
    fit: CanvasFit,
    found: tuple[ModelConfig, Survey, Survey],
) -> None:
    """Writes the advice for training, on a canvas that the outlines need."""
    preset, seen, better = found
    if fit.size != fit.asked:
        seen, look = _look(data, on_canvas(preset, fit.size))
        better = propose(seen, look)
    advice = advise(seen, better, preset, fit)
    path = advice_path(arguments.data)
    write_advice(path, arguments.preset, advice)
    changed = ", ".join(advice) or "nothing but the preset's name"
    _say(f"\n{path} has {changed}: `python -m model.train --data {arguments.data}` takes it.")


def _sample(data: CocoDataset, most: int) -> CocoDataset:
    """At most so many films, evenly picked: every object is drawn in full."""
    if len(data.images) <= most:
        return data
    _say(f"Looked at closely (--films): {counted(most, 'film')} of these.")
    return _thin_out(data, most)


def _thin_out(data: CocoDataset, most: int) -> CocoDataset:
    count = len(data.images)
    picked = np.linspace(0, count - 1, min(most, count)).round().astype(int)
    return data.subset(tuple(data.images[index] for index in picked))


def _counted(seen: Survey) -> str:
    return f"{seen.count('lost')} lost and {seen.count('out of scale range')} out of scale range"


def _list(sentences: Iterable[object]) -> None:
    for sentence in sentences:
        _say(f"- {sentence}")


def _say(text: str) -> None:
    print(text)  # noqa: T201  # the command's answer


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m datasets.doctor",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="a COCO data set: its folder, or its JSON file")
    add("--preset", choices=sorted(PRESETS), required=True)
    add("--other", type=Path, help="the data set to test on: what do they share?")
    add("--page", type=Path, help="write a PNG of the films in most trouble")
    add(
        "--propose",
        action="store_true",
        help=f"write what is advised into the data set as {ADVICE}, which training takes",
    )
    add("--films", type=int, default=300, help="look closely at so many at most")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
