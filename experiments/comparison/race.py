"""Trains and measures one contender; every contender goes the same way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from experiments.comparison.contender import Contender
from model.configuration.recipe import PrecisionName, TrainConfig
from model.data.coco import CocoDataset
from model.data.dataset import TrainingStream, collate
from model.data.radiograph import read_radiograph
from model.evaluation.average_precision import Number
from model.evaluation.images import Prediction, restore
from model.evaluation.measure import measure
from model.training.mixed_precision import autocast
from model.training.optimisation import learning_rate_factor
from solo.contract.letterbox import Letterbox

_WARMUP_RUNS = 2


@dataclass(frozen=True)
class Course:
    """What is the same for all contenders.

    Attributes:
        canvas_size: (height, width).
        steps: of the optimiser.
        batch_size: images a step.
        seed: of weights, order and augmentations.
        precision: of the arithmetic in training; all are measured in float32.
    """

    canvas_size: tuple[int, int]
    steps: int
    batch_size: int
    seed: int
    precision: PrecisionName = "float32"


@dataclass(frozen=True)
class Result:
    """What a contender is worth.

    Attributes:
        weights: trained numbers.
        ap: mask AP over IoU 0.50 to 0.95; `ap50` and `ap75` at one IoU.
        dice: mean over annotated objects of the best instance of the same class.
        latency_seconds: median time from a canvas to instances, one film, in PyTorch.
        step_seconds: median time of a training step, films drawn beforehand.
    """

    weights: int
    ap: Number
    ap50: Number
    ap75: Number
    dice: Number
    latency_seconds: float
    step_seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def run(contender: Contender, train: CocoDataset, test: CocoDataset, course: Course) -> Result:
    """Trains a contender on one data set and measures it on another."""
    step_seconds = teach(contender, train, course)
    contender.network.eval()
    latencies: list[float] = []
    quality = measure(test, answers(contender, test, course.canvas_size, latencies))
    return Result(
        weights=count_weights(contender.network),
        ap=quality["ap"],
        ap50=quality["ap50"],
        ap75=quality["ap75"],
        dice=quality["dice"],
        latency_seconds=median(latencies[_WARMUP_RUNS:] or latencies),
        step_seconds=step_seconds,
    )


def teach(contender: Contender, data: CocoDataset, course: Course) -> float:
    """Trains by AdamW with a short rise of the rate and a cosine; returns the median step's time.

    Raises:
        ValueError: if the loss is not finite.
    """
    schedule = TrainConfig(iterations=course.steps, batch_size=course.batch_size)
    length = course.steps * course.batch_size
    stream = TrainingStream(data, course.canvas_size, length, course.seed)
    optimizer = torch.optim.AdamW(contender.network.parameters(), weight_decay=0.02)
    contender.network.train()
    seconds = []
    batches = DataLoader(stream, batch_size=course.batch_size, collate_fn=collate)
    for step, (images, objects) in enumerate(tqdm(batches, unit="step")):
        start = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = contender.learning_rate * learning_rate_factor(step, schedule)
        with autocast(images.device, course.precision):
            loss = contender.loss(images, objects)
        if not torch.isfinite(loss):
            raise ValueError(f"the loss is not finite at step {step}")
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(contender.network.parameters(), schedule.clip_norm)
        optimizer.step()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def answers(
    contender: Contender,
    data: CocoDataset,
    canvas_size: tuple[int, int],
    latencies: list[float],
) -> Iterator[Prediction]:
    """The instances in each film; the seconds that each took are added to `latencies`."""
    for record in data.images:
        letterbox = Letterbox.fit((record.height, record.width), canvas_size)
        canvas = torch.from_numpy(letterbox.apply(read_radiograph(record)))[None, None]
        start = time.perf_counter()
        with torch.inference_mode():
            instances = contender.find(canvas)
        latencies.append(time.perf_counter() - start)
        yield restore(record, instances, letterbox)


def count_weights(network: nn.Module) -> int:
    """Trained numbers of a network."""
    return sum(weights.numel() for weights in network.parameters())
