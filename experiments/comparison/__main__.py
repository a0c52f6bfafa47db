"""SOLO, a U-Net with connected components and Mask2Former on the same films.

    python -m experiments.comparison --preset crowded --data DIR --test DIR --steps 2000 --out DIR

All start from random weights, have about as many of them, and take the same steps with the same
films and augmentations. `--networks solo-imagenet` adds SOLO on a backbone that has seen ImageNet.
Prints a table in Markdown. Each contender's figures are written to the folder when it has finished;
the same command goes on with those that are missing.

Needs the libraries of the group `compare`.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import torch

from experiments.comparison.entrants import ENTRANTS, FROM_NOTHING, enter
from experiments.comparison.race import Course, run
from model.configuration.network import ModelConfig
from model.configuration.presets import PRESETS
from model.configuration.recipe import PrecisionName
from model.data.coco import CocoDataset, DatasetError, load_coco
from model.data.split import FOLDS_HELP, Folds, folds_argument, split_by_patient

_BYTES = 4  # of a weight
_HEADER = (
    "| network | weights | MB | AP | AP50 | AP75 | Dice | film, ms | step, ms |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    arguments = _parser().parse_args(argv)
    torch.set_num_threads(arguments.threads)
    try:
        rows = _compare(arguments)
    except ImportError as error:
        print(f"{error}: the libraries of the group `compare` are needed", file=sys.stderr)
        return 1
    except (DatasetError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(_HEADER)
    for name, figures in rows.items():
        print(_line(name, figures))
    return 0


def _compare(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    train, test = _films(arguments)
    model = PRESETS[arguments.preset]((train.class_names, train.category_ids)).model
    if arguments.canvas is not None:
        model = resized(model, arguments.canvas)
    course = Course(
        model.canvas_size,
        arguments.steps,
        arguments.batch_size,
        arguments.seed,
        arguments.precision,
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    settings = {
        "preset": arguments.preset,
        "steps": course.steps,
        "batch_size": course.batch_size,
        "seed": course.seed,
        "canvas": list(course.canvas_size),
        "precision": course.precision,
        "films": [[record.path.name for record in part.images] for part in (train, test)],
    }
    rows = {}
    for name in arguments.networks:
        path = arguments.out / f"{name}.json"
        if path.exists():
            figures = _read(path, settings)
            print(f"{path} is there already: {name} is not trained again", file=sys.stderr)
        else:
            figures = run(enter(name, model, course.seed), train, test, course).to_dict()
            document = {"settings": settings, "figures": figures}
            path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        rows[name] = figures
    return rows


def resized(config: ModelConfig, side: int) -> ModelConfig:
    """A preset's network on another square canvas: cells of the same pixels, sizes to scale."""
    factor = side / config.canvas_size[0]
    levels = tuple(
        replace(
            level,
            num_grid=round(level.num_grid * factor),
            scale_range=(level.scale_range[0] * factor, level.scale_range[1] * factor),
        )
        for level in config.levels
    )
    return replace(config, canvas_size=(side, side), levels=levels)


def _films(arguments: argparse.Namespace) -> tuple[CocoDataset, CocoDataset]:
    data = load_coco(arguments.data)
    if arguments.fold is not None:
        return split_by_patient(data, arguments.fold, arguments.folds)
    test = load_coco(arguments.test)
    if test.class_names != data.class_names:
        raise ValueError(f"{arguments.test} has other classes than {arguments.data}")
    return data, test


def _read(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["settings"] != settings:
        raise ValueError(f"{path} is of a comparison with other settings: choose another --out")
    figures: dict[str, Any] = document["figures"]
    return figures


def _line(name: str, figures: dict[str, Any]) -> str:
    qualities = [
        "-" if figures[key] is None else f"{figures[key]:.3f}"
        for key in ("ap", "ap50", "ap75", "dice")
    ]
    times = [f"{1e3 * figures[key]:.0f}" for key in ("latency_seconds", "step_seconds")]
    megabytes = f"{figures['weights'] * _BYTES / 1e6:.1f}"
    return f"| {' | '.join([name, str(figures['weights']), megabytes, *qualities, *times])} |"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m experiments.comparison",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--preset", choices=sorted(PRESETS), required=True, help="of the SOLO network")
    add("--data", type=Path, required=True, help="a COCO data set to train on")
    tests = parser.add_mutually_exclusive_group(required=True)
    tests.add_argument("--test", type=Path, help="another to test on")
    tests.add_argument("--fold", type=int, help="or the fold of patients to test on")
    add("--folds", type=folds_argument, default=Folds(), help=FOLDS_HELP)
    add("--steps", type=int, default=2000)
    add("--canvas", type=int, help="pixels along its sides, if not the preset's")
    add("--precision", choices=get_args(PrecisionName), default="float32", help="in training")
    add("--batch-size", type=int, default=4)
    add("--seed", type=int, default=0)
    add("--networks", nargs="+", choices=ENTRANTS, default=list(FROM_NOTHING))
    add("--threads", type=int, default=torch.get_num_threads())
    add("--out", type=Path, required=True, help="a folder for the figures of each network")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
