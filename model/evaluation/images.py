"""Quality of one film's answer: Dice and outlines of its objects, and their count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from model.data.coco import ImageRecord
from model.evaluation.average_precision import Rle, outlines
from model.evaluation.boundary import BoundaryDistance, boundary_distance
from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox

Masks = npt.NDArray[np.bool_]
Prediction = tuple[ImageRecord, Instances, list[Rle]]
"""A film, its instances, and their masks in its own pixels, as run lengths: a hundred masks of a
large film would be gigabytes."""

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
    rles: list[Rle]
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


def restore(
    record: ImageRecord, instances: Instances, letterbox: Letterbox, mask_threshold: float = 0.5
) -> Prediction:
    """A film's instances with their masks in its own pixels, one mask in memory at a time."""
    rles = []
    for place in range(len(instances)):
        one = slice(place, place + 1)
        single = Instances(instances.masks[one], instances.labels[one], instances.scores[one])
        rles.append(encode(letterbox.restore(single, mask_threshold)[0]))
    return record, instances, rles


def encode(mask: npt.NDArray[np.bool_]) -> Rle:
    """The run lengths of a mask, bool [height, width]."""
    rle: Rle = coco_mask.encode(np.asfortranarray(mask))
    return rle


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
    record, instances, rles = prediction
    shown = int((instances.scores >= score_threshold).sum())
    labels = [a.label for a in record.annotations if not a.is_crowd]
    objects = []
    for label, truth in zip(labels, outlines(record, crowd=False), strict=True):
        same = [rles[place] for place in np.flatnonzero(instances.labels[:shown] == label)]
        objects.append(_judge_object(label, truth, same, distances=distances))
    return ImageQuality(record, instances.labels, instances.scores, rles, shown, tuple(objects))


def _judge_object(label: int, truth: Rle, same: Sequence[Rle], *, distances: bool) -> ObjectQuality:
    if not same:
        return ObjectQuality(label, 0.0, None)
    iou = coco_mask.iou(list(same), [truth], [False])[:, 0]
    best = same[int(iou.argmax())]  # of the best Dice too: 2 IoU / (1 + IoU)
    overlap = int(coco_mask.area(coco_mask.merge([best, truth], intersect=True)))
    dice = 2 * overlap / max(int(coco_mask.area(best)) + int(coco_mask.area(truth)), 1)
    boundary = None
    if distances and dice >= _FOUND_DICE:
        boundary = boundary_distance(*(coco_mask.decode(rle) > 0 for rle in (truth, best)))
    return ObjectQuality(label, dice, boundary)
