"""Confusion matrix of classes, with "nothing" for what was missed and what is not there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from model.data.coco import CocoDataset, ImageRecord
from model.evaluation.average_precision import (
    MATCHED_AT,
    NO_MATCH,
    AveragePrecision,
    Rle,
    outlines,
)
from model.evaluation.images import Prediction

Matrix = npt.NDArray[np.int64]


def confusion_matrix(
    data: CocoDataset,
    predictions: Sequence[Prediction],
    precision: AveragePrecision,
    score_threshold: float,
) -> Matrix:
    """Counts what each annotated object was taken for.

    The matches within a class are those of AP at an IoU of 0.5, so that the diagonal agrees with
    precision and recall. What is left of objects and instances is then paired across classes at
    the same IoU, the best overlap first; the rest was missed, or is not there. Crowds, and
    instances in a crowd of their class, do not count.

    Args:
        data: the films.
        predictions: of each film.
        precision: of these predictions.
        score_threshold: instances of at least this score count.

    Returns:
        int64 [C + 1, C + 1]: annotated class by found class, "nothing" last.
    """
    number = len(data.class_names)
    matrix = np.zeros((number + 1, number + 1), np.int64)
    for record, instances, rles in predictions:
        matches = precision.matches[record.image_id][0]
        shown = instances.scores >= score_threshold
        objects = [place for place, a in enumerate(record.annotations) if not a.is_crowd]
        matched = matches[shown & (matches > NO_MATCH)]
        for place in matched:
            label = record.annotations[place].label
            matrix[label, label] += 1
        missed = [place for place in objects if place not in matched]
        wrong = np.flatnonzero(shown & (matches == NO_MATCH)).tolist()
        for place, found in _pairs(record, missed, [rles[key] for key in wrong]):
            true = number if place is None else record.annotations[place].label
            matrix[true, number if found is None else instances.labels[wrong[found]]] += 1
    return matrix


def _pairs(
    record: ImageRecord, missed: list[int], wrong: list[Rle]
) -> list[tuple[int | None, int | None]]:
    """Missed objects and wrong instances that overlap, and what is left of both."""
    outline = list(outlines(record))
    pairs: list[tuple[int | None, int | None]] = []
    if missed and wrong:
        iou = coco_mask.iou([outline[place] for place in missed], wrong, [False] * len(wrong))
        while (iou >= MATCHED_AT[0]).any():
            row, column = np.unravel_index(int(iou.argmax()), iou.shape)
            pairs.append((missed[row], int(column)))
            iou[row], iou[:, column] = -1, -1
    taken, used = {place for place, _ in pairs}, {found for _, found in pairs}
    pairs += [(place, None) for place in missed if place not in taken]
    return pairs + [(None, found) for found in range(len(wrong)) if found not in used]
