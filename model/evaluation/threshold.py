"""Score threshold proposed for a model: where the mean F1 of its classes is best.

The F1 score at an IoU of 0.5, averaged over classes, is what ultralytics and RF-DETR choose their
confidence by. They take its highest point, which jumps from film to film where these are few; here
it is the middle of the thresholds around that point whose F1 is as good but for a hundredth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.data.coco import CocoDataset
from model.evaluation.average_precision import NO_MATCH, NOT_COUNTED, AveragePrecision, Number
from model.evaluation.images import Prediction

_STEPS = 100  # thresholds from 0 to 1
_AS_GOOD = 0.01  # of F1


@dataclass(frozen=True)
class ClassAtThreshold:
    """Precision, recall and F1 of a class at IoU 0.5; None where there is nothing to divide by.

    Attributes:
        precision: part of the instances that are right.
        recall: part of the objects that are found.
        f1: their harmonic mean.
    """

    precision: Number
    recall: Number
    f1: Number


@dataclass(frozen=True)
class ProposedThreshold:
    """A score threshold and what it brings, at IoU 0.5.

    Attributes:
        score_threshold: in hundredths.
        precision: mean over the classes that have objects and instances.
        recall: mean over the classes that have objects.
        f1: the same.
        classes: by name.
    """

    score_threshold: float
    precision: Number
    recall: float
    f1: float
    classes: dict[str, ClassAtThreshold]


@dataclass(frozen=True, eq=False)  # compared by identity: arrays have no single truth
class ScoredMatches:
    """All instances that count, of all films.

    Attributes:
        scores: float64 [N].
        labels: int64 [N].
        right: bool [N], whether each is the match of an object of its class at IoU 0.5.
        objects: int64 [C], objects of each class that are no crowd.
    """

    scores: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    right: npt.NDArray[np.bool_]
    objects: npt.NDArray[np.int64]

    @classmethod
    def gather(
        cls, data: CocoDataset, predictions: Sequence[Prediction], precision: AveragePrecision
    ) -> ScoredMatches:
        """Of the predictions that `precision` was measured on."""
        labels = [a.label for r in data.images for a in r.annotations if not a.is_crowd]
        objects = np.bincount(labels, minlength=len(data.class_names)).astype(np.int64)
        at_half = [precision.matches[record.image_id][0] for record, _, _ in predictions]
        matches = np.concatenate([*at_half, np.empty(0, np.int64)])
        counted = matches != NOT_COUNTED
        found = [instances for _, instances, _ in predictions]
        every = np.concatenate([*(i.scores for i in found), np.empty(0)]).astype(np.float64)
        kinds = np.concatenate([*(i.labels for i in found), np.empty(0, np.int64)])
        return cls(every[counted], kinds[counted], matches[counted] > NO_MATCH, objects)


def propose_threshold(
    matches: ScoredMatches, class_names: Sequence[str], lowest: float = 0.0
) -> ProposedThreshold | None:
    """Proposes the threshold of a model, or None where no instance is right.

    Args:
        matches: of its instances on films that it was not trained on.
        class_names: in the order of the labels.
        lowest: smallest threshold that the model can have: its `candidate_threshold`.
    """
    grid = np.arange(int(np.ceil(round(lowest * _STEPS, 6))), _STEPS + 1) / _STEPS
    counts = np.stack([_counts(matches, threshold) for threshold in grid])  # [T, 2, C]
    wanted = matches.objects > 0
    f1 = (2 * counts[:, 0] / np.maximum(counts[:, 1] + matches.objects, 1))[:, wanted]
    if not f1.any():
        return None
    chosen = _middle_of_best(f1.mean(1))
    columns = zip(*counts[chosen].tolist(), matches.objects.tolist(), strict=True)
    classes = {
        name: _at_threshold(right, shown, objects)
        for name, (right, shown, objects) in zip(class_names, columns, strict=True)
    }
    seen = [found for found, there in zip(classes.values(), wanted, strict=True) if there]
    precisions = [found.precision for found in seen if found.precision is not None]
    return ProposedThreshold(
        score_threshold=float(grid[chosen]),
        precision=float(np.mean(precisions)) if precisions else None,
        recall=float(np.mean([found.recall for found in seen])),
        f1=float(np.mean([found.f1 for found in seen])),
        classes=classes,
    )


def _counts(matches: ScoredMatches, threshold: float) -> npt.NDArray[np.int64]:
    """Right instances and all instances of each class from this score on, int64 [2, C]."""
    # As serving does, which compares scores of 32 bits.
    shown = matches.scores >= float(np.float32(threshold))
    number = len(matches.objects)
    parts = (shown & matches.right, shown)
    return np.stack([np.bincount(matches.labels[part], minlength=number) for part in parts])


def _middle_of_best(f1: npt.NDArray[np.float64]) -> int:
    good = f1 >= f1.max() - _AS_GOOD
    first = last = int(f1.argmax())
    while first > 0 and good[first - 1]:
        first -= 1
    while last + 1 < len(f1) and good[last + 1]:
        last += 1
    return (first + last) // 2


def _at_threshold(right: int, shown: int, objects: int) -> ClassAtThreshold:
    return ClassAtThreshold(
        precision=float(right / shown) if shown else None,
        recall=float(right / objects) if objects else None,
        f1=float(2 * right / (shown + objects)) if objects else None,
    )
