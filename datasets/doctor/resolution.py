"""Upper bound of mask AP on a canvas: masks at a quarter of it hold outlines only so well."""

from __future__ import annotations

from collections.abc import Iterator

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
_LARGER = 1.5
_STRIDE = 32  # sides of a canvas are its multiples


def find_coarseness(data: CocoDataset, canvas_size: tuple[int, int]) -> list[Finding]:
    """Finds outlines that are too fine for the canvas, and what a larger one would hold.

    Args:
        data: a few films are enough; each is evaluated at its own size.
        canvas_size: (height, width).
    """
    reached = highest_precision(data, canvas_size)
    if reached is None or reached >= _ENOUGH:
        return []
    larger = tuple(round(_LARGER * side / _STRIDE) * _STRIDE for side in canvas_size)
    better = highest_precision(data, (larger[0], larger[1]))
    return [
        Finding(
            f"Masks at a quarter of this canvas hold these outlines with an AP of {reached:.2f}: "
            f"no training gets beyond that. On a canvas of {larger} it is {better:.2f}."
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
