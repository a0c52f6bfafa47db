"""The three toy tasks (arXiv 1807.03247, sections 3 and 5): a place, its pixel, its square.

Shapes: N places, S pixels along each side of a square canvas.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

SplitName = Literal["uniform", "quadrant"]
_TEST_PART = 0.2  # of the places, in the uniform split


@dataclass(frozen=True)
class Task:
    """A map between a place and a picture, and how well a network has learned it.

    Attributes:
        name: for the table.
        steps: of training, after which the networks of either kind have settled.
        from_picture: whether the picture is the input and the place the answer.
        inputs: of places int64 [N, 2] and S, float32 [N, 2] or [N, 1, S, S].
        loss: of answers (float32 [N, 1, S, S], or [N, 2]) and places, a scalar.
        score: of answers and places, float32 [N]: 0 is wrong, 1 is right.
    """

    name: str
    steps: int
    from_picture: bool
    inputs: Callable[[Tensor, int], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    score: Callable[[Tensor, Tensor], Tensor]


def all_places(side: int) -> Tensor:
    """Every (row, column) around which a square fits on the canvas: int64 [N, 2]."""
    margin = square_side(side) // 2
    steps = torch.arange(margin, side - margin)
    return torch.cartesian_prod(steps, steps)


def split(places: Tensor, side: int, name: SplitName, seed: int) -> tuple[Tensor, Tensor]:
    """Places to train and to test on: some here and there, or a whole quadrant, the lower right."""
    if name == "quadrant":
        held_out = (places >= side // 2).all(1)
    else:
        generator = torch.Generator().manual_seed(seed)
        held_out = torch.rand(len(places), generator=generator) < _TEST_PART
    return places[~held_out], places[held_out]


def square_side(side: int) -> int:
    """Pixels along the square that is to be drawn, odd: 9 on the paper's canvas of 64."""
    return side // 8 // 2 * 2 + 1


def normalised(places: Tensor, side: int) -> Tensor:
    """Rows and columns from -1 at the first pixel's centre to 1 at the last one's: [N, 2]."""
    return places / (side - 1) * 2 - 1


def pixels(places: Tensor, side: int) -> Tensor:
    """A picture of each place, one pixel set: float32 [N, 1, S, S]."""
    index = places[:, 0] * side + places[:, 1]
    return F.one_hot(index, side * side).float().view(-1, 1, side, side)


def standardised_pixels(places: Tensor, side: int) -> Tensor:
    """The same pictures with mean 0 and variance 1, so that the one pixel can be seen."""
    mean = 1 / side**2
    return (pixels(places, side) - mean) / math.sqrt(mean * (1 - mean))


def squares(places: Tensor, side: int) -> Tensor:
    """The square around each place: float32 [N, 1, S, S], 0 or 1."""
    width = square_side(side)
    return F.max_pool2d(pixels(places, side), width, stride=1, padding=width // 2)


def _pixel_loss(logits: Tensor, places: Tensor) -> Tensor:
    return F.cross_entropy(logits.flatten(1), places[:, 0] * logits.shape[-1] + places[:, 1])


def _pixel_score(logits: Tensor, places: Tensor) -> Tensor:
    found = logits.flatten(1).argmax(1)
    return (found == places[:, 0] * logits.shape[-1] + places[:, 1]).float()


def _square_loss(logits: Tensor, places: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, squares(places, logits.shape[-1]))


def _square_score(logits: Tensor, places: Tensor) -> Tensor:
    """The intersection over union of the square that was drawn and the one that was asked for."""
    drawn, wanted = logits > 0, squares(places, logits.shape[-1]) > 0
    return (drawn & wanted).sum((1, 2, 3)) / (drawn | wanted).sum((1, 2, 3))


def regression(side: int) -> Task:
    """From a picture with one pixel set to the place; right is less than a pixel off each way."""

    def loss(found: Tensor, places: Tensor) -> Tensor:
        return F.mse_loss(found, normalised(places, side))

    def score(found: Tensor, places: Tensor) -> Tensor:
        pixels_off = (found - normalised(places, side)).abs() * (side - 1) / 2
        return (pixels_off < 1).all(1).float()

    return Task("coordinate regression", 1500, True, standardised_pixels, loss, score)


def all_tasks(side: int) -> tuple[Task, ...]:
    """The paper's three."""
    return (
        Task("coordinate classification", 600, False, normalised, _pixel_loss, _pixel_score),
        Task("supervised rendering", 600, False, normalised, _square_loss, _square_score),
        regression(side),
    )
