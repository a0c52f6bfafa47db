"""Scenes of ellipses, and predictions as a network would make them: several for each object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Masks = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Scene:
    """What is there, and what was predicted.

    Attributes:
        truth: bool [n, h, w].
        truth_labels: int64 [n].
        masks: bool [K, h, w], best first.
        labels: int64 [K].
        scores: float32 [K], descending.
    """

    truth: Masks
    truth_labels: npt.NDArray[np.int64]
    masks: Masks
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]


def made_scene(
    rng: np.random.Generator, size: tuple[int, int], objects: int, predictions: int, classes: int
) -> Scene:
    """Overlapping ellipses, each predicted many times, more or less well.

    A prediction's score is its IoU with its object plus noise: better masks score higher, though
    not always.
    """
    height, width = size
    centres = rng.uniform((0, 0), (height, width), (objects, 2))
    radii = np.exp(rng.uniform(np.log(min(size) / 20), np.log(min(size) / 3.5), (objects, 2)))
    truth = _ellipses(centres, radii, size)
    truth_labels = rng.integers(0, classes, objects)
    of = rng.integers(0, objects, predictions)
    unsure = rng.uniform(0.02, 0.3, (predictions, 1))
    moved = centres[of] + rng.normal(0, 1, (predictions, 2)) * unsure * radii[of]
    masks = _ellipses(moved, radii[of] * np.exp(rng.normal(0, 1, (predictions, 2)) * unsure), size)
    shared = (masks & truth[of]).sum((1, 2))
    iou = shared / np.maximum((masks | truth[of]).sum((1, 2)), 1)
    scores = np.clip(0.8 * iou + rng.normal(0, 0.1, predictions), 0.01, 0.99).astype(np.float32)
    order = np.argsort(-scores, kind="stable")
    return Scene(truth, truth_labels, masks[order], truth_labels[of][order], scores[order])


def _ellipses(
    centres: npt.NDArray[np.float64], radii: npt.NDArray[np.float64], size: tuple[int, int]
) -> Masks:
    rows, columns = np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5
    down = ((rows - centres[:, :1]) / radii[:, :1]) ** 2
    across = ((columns - centres[:, 1:]) / radii[:, 1:]) ** 2
    return np.asarray(down[:, :, None] + across[:, None, :] < 1)
