"""Upper bound of mask AP on a canvas: masks at a quarter of it hold outlines only so well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from datasets.doctor.cells import place_objects
from datasets.doctor.findings import Finding
from model.data.coco import CocoDataset
from model.evaluation.average_precision import Number
from model.evaluation.images import Prediction, restore
from model.evaluation.measure import measure
from model.training.targets import mask_targets
from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox

_ENOUGH = 0.9  # AP; what is above it is not lost to the canvas
_LARGER = 1.25
_LARGEST = 1024  # pixels a side; beyond that a step takes long
_WORTH = 0.02  # AP that a larger canvas must bring
_IN_VAIN = 2  # canvases in a row that bring less: how outlines meet the pixels varies with the size
_STRIDE = 32  # sides of a canvas are its multiples


class CanvasFit(NamedTuple):
    """The smallest canvas from the asked one on whose masks hold the outlines.

    Attributes:
        asked: its size, (height, width).
        reached: the mask AP that the asked canvas can reach; None where nothing is outlined.
        size: of the canvas that fits, as far as one does.
        best: the mask AP that this one can reach.
    """

    asked: tuple[int, int]
    reached: Number
    size: tuple[int, int]
    best: Number


def fit_canvas(data: CocoDataset, canvas_size: tuple[int, int]) -> CanvasFit:
    """Enlarges a canvas as long as outlines are lost to it and a larger one holds more of them.

    Args:
        data: a few films are enough; each is evaluated at its own size.
        canvas_size: (height, width).
    """
    size, best = canvas_size, highest_precision(data, canvas_size)
    fit = CanvasFit(canvas_size, best, size, best)
    in_vain = 0
    while best is not None and best < _ENOUGH and max(size) < _LARGEST and in_vain < _IN_VAIN:
        height, width = (
            side + max(_STRIDE, round((_LARGER - 1) * side / _STRIDE) * _STRIDE) for side in size
        )
        size, reached = (height, width), highest_precision(data, (height, width)) or 0
        in_vain += 1
        if reached >= best + _WORTH:
            best, in_vain = reached, 0
            fit = fit._replace(size=size, best=best)
    return fit


def find_coarseness(fit: CanvasFit) -> list[Finding]:
    """Finds outlines that are too fine for the asked canvas, and what a larger one would hold."""
    if fit.reached is None or fit.reached >= _ENOUGH:
        return []
    larger = f" On a canvas of {fit.size} it is {fit.best:.2f}." if fit.size != fit.asked else ""
    return [
        Finding(
            f"Masks at a quarter of this canvas hold these outlines with an AP of "
            f"{fit.reached:.2f}: no training gets beyond that.{larger}"
        )
    ]


def highest_precision(data: CocoDataset, canvas_size: tuple[int, int]) -> Number:
    """Mask AP of a network that is always right: the true coverage, read back as an answer is.

    Args:
        data: the films.
        canvas_size: (height, width).

    Returns:
        AP, or None where there is nothing to find.
    """
    return measure(data, _right_answers(data, canvas_size))["ap"]


def _right_answers(data: CocoDataset, canvas_size: tuple[int, int]) -> Iterator[Prediction]:
    for record in data.images:
        objects = place_objects(record, canvas_size)
        masks = (255 * mask_targets(objects.masks)).round().to(torch.uint8)
        scores = np.ones(len(masks), np.float32)
        instances = Instances(masks.numpy(), objects.labels.numpy(), scores)
        letterbox = Letterbox.fit((record.height, record.width), canvas_size)
        yield restore(record, instances, letterbox)
