"""Training recipes: the papers' schedules, for a data set of any size."""

from __future__ import annotations

import math
from dataclasses import dataclass

from model.configuration.recipe import TrainConfig

_RATE_PER_IMAGE = 0.01 / 16  # of a batch (SOLO section 4, "training details"; SOLOv2 section 4.1)


@dataclass(frozen=True)
class Schedule:
    """Passes over the data, and the passes after which the rate falls to a tenth."""

    passes: int
    falls: tuple[int, ...]


SCHEDULES = {"1x": Schedule(12, (9, 11)), "3x": Schedule(36, (27, 33))}


def paper_recipe(name: str, films: int, batch_size: int) -> TrainConfig:
    """SGD as in the papers, its length and rate fitted to the data set and the batch.

    The rate grows with the batch, 0.01 for 16 images. The warm-up of 500 iterations is cut to a
    tenth of a short run (`model.training.optimisation.learning_rate_factor`).

    Args:
        name: one of `SCHEDULES`.
        films: in the data set.
        batch_size: images a step.
    """
    schedule = SCHEDULES[name]
    rate = _RATE_PER_IMAGE * batch_size
    return TrainConfig(
        iterations=math.ceil(schedule.passes * films / batch_size),
        batch_size=batch_size,
        learning_rate=rate,
        backbone_learning_rate=rate,
        weight_decay=1e-4,
        warmup_iterations=500,
        clip_norm=35.0,
        optimizer="sgd",
        milestones=tuple(fall / schedule.passes for fall in schedule.falls),
        frozen_batch_norm=True,
    )
