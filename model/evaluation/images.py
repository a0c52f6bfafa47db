"""Quality of one film's answer: Dice and outlines of its objects, and their count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from model.data.coco import ImageRecord
from model.evaluation.average_precision import outlines
from model.evaluation.boundary import BoundaryDistance, boundary_distance
from solo.contract.instances import Instances

Masks = npt.NDArray[np.bool_]
Prediction = tuple[ImageRecord, Instances, Masks]

_FOUND_DICE = 2 / 3  # as an IoU of one half


@dataclass(frozen=True)
class ObjectQuality:
    """Quality of the instance that outlines one annotated object.

    Attributes:
        label: its class.
        dice: of the best instance of its class, 0 if there is none that touches it.
        boundary: to that instance's outline, in pixels; None below a Dice of 2/3, where the two
            are no match and their distance says nothing.
    """

    label: int
    dice: float
    boundary: BoundaryDistance | None


@dataclass(frozen=True, eq=False)  # compared by identity: arrays have no single truth
class ImageQuality:
    """Quality of a film's answer.

    Attributes:
        record: the film.
        labels: int64 [N], class of each instance, best first.
        scores: float32 [N].
        rles: the instances' masks in the film's pixels, as COCO RLE.
        shown: instances that score enough to be shown; they come first.
        objects: one for each annotated object that is no crowd.
    """

    record: ImageRecord
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    rles: list[dict[str, Any]]
    shown: int
    objects: tuple[ObjectQuality, ...]

    @property
    def has_right_count(self) -> bool:
        """Whether as many instances are shown as were annotated."""
        return self.shown == len(self.objects)

    @property
    def worth(self) -> float:
        """Quality from 0 to 1: the objects' Dice, diluted by instances beyond their number."""
        most = max(self.shown, len(self.objects))
        return sum(item.dice for item in self.objects) / most if most else 1.0


def true_masks(record: ImageRecord) -> Masks:
    """Bool [n, height, width], the annotated objects that are no crowd."""
    masks = [coco_mask.decode(rle) for rle in outlines(record, crowd=False)]
    return np.asarray(masks, np.bool_).reshape(-1, record.height, record.width)


def judge(prediction: Prediction, score_threshold: float, *, distances: bool) -> ImageQuality:
    """Compares a film's instances with its annotations.

    Args:
        prediction: the film, its instances, and their masks in its own pixels.
        score_threshold: instances of at least this score are shown, and count.
        distances: whether to measure boundaries, which takes longer than all else.
    """
    record, instances, masks = prediction
    shown = int((instances.scores >= score_threshold).sum())
    labels = [a.label for a in record.annotations if not a.is_crowd]
    objects = [
        _judge_object(
            label, mask, masks[:shown][instances.labels[:shown] == label], distances=distances
        )
        for label, mask in zip(labels, true_masks(record), strict=True)
    ]
    return ImageQuality(
        record=record,
        labels=instances.labels,
        scores=instances.scores,
        rles=[coco_mask.encode(np.asfortranarray(mask)) for mask in masks],
        shown=shown,
        objects=tuple(objects),
    )


def _judge_object(
    label: int, truth: npt.NDArray[np.bool_], same: Masks, *, distances: bool
) -> ObjectQuality:
    overlap = (same & truth).sum((1, 2))
    total = same.sum((1, 2)) + truth.sum()
    dices = 2 * overlap / np.maximum(total, 1)
    best = float(dices.max(initial=0.0))
    boundary = None
    if distances and best >= _FOUND_DICE:
        boundary = boundary_distance(truth, same[int(dices.argmax())])
    return ObjectQuality(label, best, boundary)
