"""How a network is trained: length, rates, augmentation."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from model.configuration.network import ModelConfig

_SCALES = (0.05, 20.0)
OptimizerName = Literal["adamw", "sgd"]
PrecisionName = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Augmentation:
    """What training changes at random in each film.

    Attributes:
        mirror: the part of the films that is mirrored left to right, 0 to 1.
        scale: smallest and largest factor on the size that the letterbox gives.
        aspect: largest change of the aspect, as a natural logarithm.
        rotation_degrees: standard deviation of the angle, which is cut at 20 degrees.
        grey_values: whether brightness, contrast, noise and sharpness change.
        side_pairs: classes whose labels a mirrored film swaps, such as ("left lung", "right
            lung"); None finds them by their names (`model.data.sides`), () swaps none.
        repeat_threshold: classes that are on a smaller part of the films than this are seen more
            often (repeat-factor sampling, arXiv 1908.03195; `model.data.repeats`); 0 for never.
        copy_paste: the part of the films that gets objects of another one, 0 to 1 (arXiv
            2012.07177; `model.data.copy_paste`).

    Raises:
        ValueError: if a part is not between 0 and 1, a factor not from 0.05 to 20, the smallest
            above the largest, the aspect's change not from 0 to 1, or the angle not from 0 to 180.
    """

    mirror: float = 0.5
    scale: tuple[float, float] = (0.7, 1.25)
    aspect: float = 0.14
    rotation_degrees: float = 7.0
    grey_values: bool = True
    side_pairs: tuple[tuple[str, str], ...] | None = None
    repeat_threshold: float = 0.0
    copy_paste: float = 0.0

    def __post_init__(self) -> None:
        """Refuses parts that are none, and changes that leave nothing of a film."""
        for name in ("mirror", "repeat_threshold", "copy_paste", "aspect"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"augmentation.{name} must be from 0 to 1")
        low, high = _SCALES
        if len(self.scale) != 2 or not low <= self.scale[0] <= self.scale[1] <= high:
            raise ValueError(
                "augmentation.scale must be the smallest factor and the largest, from "
                f"{low} to {high}, not {self.scale}"
            )
        if not 0 <= self.rotation_degrees <= 180:
            raise ValueError("augmentation.rotation_degrees must be from 0 to 180")


@dataclass(frozen=True)
class TrainConfig:
    """Hyperparameters of training.

    Attributes:
        iterations: optimiser steps.
        batch_size: images a step.
        learning_rate: peak rate of all that starts from random numbers.
        backbone_learning_rate: peak rate of the pretrained backbone.
        weight_decay: none on norms and biases.
        warmup_iterations: linear rise to the peak rate.
        clip_norm: largest norm of the gradient.
        ema_decay: of the average of the weights that is evaluated and exported, at its highest:
            it rises to there (`model.training.averaging`).
        optimizer: "adamw", or the papers' "sgd" with momentum 0.9.
        milestones: parts of the run, in (0, 1), after each of which the rate falls to a tenth;
            without any it falls in a cosine to 1 %.
        frozen_batch_norm: keep the backbone's running statistics, as the papers do with ImageNet's.
        frozen_backbone: train the rest alone; the backbone stays as it starts.
        accumulate: parts that a batch is computed in, one after the other, where it does not fit
            into memory as a whole; their gradients add up to the whole batch's. Batch norms that
            are not frozen see a part alone.
        precision: of the network's arithmetic in training; losses are always in float32.
        augmentation: what changes at random in each film.
    """

    iterations: int
    batch_size: int = 8
    learning_rate: float = 2e-3
    backbone_learning_rate: float = 1e-3
    weight_decay: float = 0.02
    warmup_iterations: int = 100
    clip_norm: float = 10.0
    ema_decay: float = 0.998
    optimizer: OptimizerName = "adamw"
    milestones: tuple[float, ...] = ()
    frozen_batch_norm: bool = False
    frozen_backbone: bool = False
    accumulate: int = 1
    precision: PrecisionName = "float32"
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        if self.iterations > _LONGEST:
            raise ValueError(f"iterations must be {_LONGEST} or fewer, not {self.iterations}")
        for name in ("iterations", "batch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)}")
        if self.batch_size % self.accumulate:
            nearest = min(
                (part for part in range(1, self.batch_size + 1) if not self.batch_size % part),
                key=lambda part: abs(part - self.accumulate),
            )
            raise ValueError(
                f"a batch of {self.batch_size} cannot be divided into {self.accumulate} equal "
                f"parts: accumulate may be {nearest}"
            )
        for name, (low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must lie in {low} to {high}, not {getattr(self, name)}")
        if any(not 0 < milestone < 1 for milestone in self.milestones):
            raise ValueError(f"milestones are parts of the run in (0, 1), not {self.milestones}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """The inverse of `asdict`, also after a round through JSON."""
        augmentation = dict(values.get("augmentation", {}))
        if "scale" in augmentation:
            augmentation["scale"] = tuple(augmentation["scale"])
        if augmentation.get("side_pairs") is not None:
            augmentation["side_pairs"] = tuple(map(tuple, augmentation["side_pairs"]))
        return cls(
            **{
                **values,
                "milestones": tuple(values.get("milestones", ())),
                "augmentation": Augmentation(**augmentation),
            }
        )


_LONGEST = 1_000_000_000  # steps
_RANGES = {
    "learning_rate": (1e-9, 10.0),
    "backbone_learning_rate": (0.0, 10.0),
    "weight_decay": (0.0, 10.0),
    "warmup_iterations": (0, 1_000_000),
    "clip_norm": (1e-6, math.inf),
    "ema_decay": (0.0, 0.999999),
}


@dataclass(frozen=True)
class Preset:
    """A named network and its recipe."""

    model: ModelConfig
    train: TrainConfig
