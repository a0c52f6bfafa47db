"""Trains a network on a data set in COCO format.

    python -m model.train --preset cxr-lungs --data DIR --out runs/mine

Run the same command again to go on after an interruption.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch

from model.backbone import load_imagenet
from model.checkpoint import CheckpointError, adopt_backbone, fine_tune
from model.coco import CocoDataset, DatasetError, load_coco
from model.config import PRESETS, Preset
from model.engine import NonFiniteLossError, Trainer
from model.evaluate import measure, predict
from model.segmenter import Segmenter
from model.split import split_by_patient


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    arguments = _parser().parse_args(argv)
    torch.set_num_threads(arguments.threads)
    try:
        _train(arguments)
    except (DatasetError, CheckpointError, NonFiniteLossError, ValueError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201  # a plain sentence, no traceback
        return 1
    return 0


def _train(arguments: argparse.Namespace) -> None:
    data = load_coco(arguments.data)
    preset = PRESETS[arguments.preset]((data.class_names, data.category_ids))
    if arguments.weights:
        preset = adopt_backbone(preset, arguments.weights)
    if arguments.iterations is not None:
        if arguments.iterations < 1:
            raise ValueError("--iterations must be 1 or more")
        train = replace(preset.train, iterations=arguments.iterations)
        preset = Preset(preset.model, train)
    held_out: CocoDataset | None = None
    if arguments.fold is not None:
        data, held_out = split_by_patient(data, arguments.fold, arguments.folds)

    arguments.out.mkdir(parents=True, exist_ok=True)
    checkpoint = arguments.out / "checkpoint.pt"
    torch.manual_seed(arguments.seed)
    segmenter = Segmenter(preset.model)
    if not checkpoint.exists():
        _initialise(segmenter, arguments)
    trainer = Trainer(
        segmenter.to(arguments.device), preset, data, arguments.seed, arguments.workers
    )
    if checkpoint.exists():
        trainer.resume(checkpoint)
    trainer.run(checkpoint)
    if held_out is not None:
        metrics = measure(held_out, predict(trainer.averaged, held_out))
        text = json.dumps(metrics, indent=1)
        (arguments.out / "metrics.json").write_text(text + "\n", encoding="utf-8")
        print(text)  # noqa: T201  # the command's answer


def _initialise(segmenter: Segmenter, arguments: argparse.Namespace) -> None:
    if arguments.weights:
        fine_tune(segmenter, arguments.weights)
    elif arguments.backbone_weights or segmenter.config.backbone == "efficientnet_lite0":
        load_imagenet(segmenter.backbone, arguments.backbone_weights)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--preset", choices=sorted(PRESETS), required=True)
    add("--data", type=Path, required=True, help="a COCO data set: one JSON, and the images")
    add("--out", type=Path, required=True, help="checkpoint.pt and metrics.json go here")
    add("--iterations", type=int, help="instead of the preset's")
    add("--seed", type=int, default=0)
    add("--fold", type=int, help="hold this fold of patients out, and measure on it at the end")
    add("--folds", type=int, default=5)
    add("--weights", type=Path, help="a checkpoint to fine-tune")
    add("--backbone-weights", type=Path, help="a torchvision state dict for a ResNet")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--threads", type=int, default=torch.get_num_threads())
    add("--workers", type=int, default=0, help="processes that prepare samples")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
