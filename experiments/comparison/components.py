"""Class maps of objects, and instances as connected components of such maps."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from experiments.comparison.contender import MAX_INSTANCES, MIN_SCORE
from model.data.objects import Objects
from solo.contract.instances import Instances

_SMALLEST = 16  # pixels of a component; a smaller one is noise


def find_components(probabilities: npt.NDArray[np.float32]) -> Instances:
    """Splits each class's pixels into connected components (8 neighbours).

    What touches its like is one instance, what something else divides are several: a component is
    all that a map of classes can say of instances. Its score is its mean probability.

    Args:
        probabilities: float32 [C, H, W], each class by itself, since objects overlap.
    """
    masks: list[npt.NDArray[np.uint8]] = []
    labels: list[int] = []
    scores: list[float] = []
    for label, probability in enumerate(probabilities):
        inside = (probability > 0.5).astype(np.uint8)
        count, numbers, statistics, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
        for number in range(1, count):
            if statistics[number, cv2.CC_STAT_AREA] < _SMALLEST:
                continue
            component = numbers == number
            masks.append(np.where(component, np.rint(255 * probability), 0).astype(np.uint8))
            labels.append(label)
            scores.append(float(probability[component].mean()))
    best = np.argsort(-np.array(scores), kind="stable")[:MAX_INSTANCES]
    found = Instances(
        np.array(masks, np.uint8).reshape(-1, *probabilities.shape[1:])[best],
        np.array(labels, np.int64)[best],
        np.array(scores, np.float32)[best],
    )
    return found.select(MIN_SCORE, MAX_INSTANCES)


def class_maps(objects: Objects, classes: int) -> Tensor:
    """Where any object of a class is: float32 [C, H, W], 0 or 1."""
    maps = torch.zeros((classes, *objects.masks.shape[1:]))
    for mask, label in zip(objects.masks, objects.labels, strict=True):
        maps[label] = torch.maximum(maps[label], (mask >= 128).float())
    return maps
