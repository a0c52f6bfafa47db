"""Points NMS and Matrix NMS, cell by cell and pair by pair.

Source: SOLOv2 (NeurIPS 2020), section 3.3, in the convention of the released code: the Gaussian
kernel multiplies by sigma = 2.0, where the paper divides by 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Int = npt.NDArray[np.int64]
Bool = npt.NDArray[np.bool_]
Kernel = Literal["gaussian", "linear"]


@dataclass(frozen=True)
class Survivors:
    """What Matrix NMS keeps, best first.

    Attributes:
        indices: int64 [K], positions in the input.
        labels: int64 [K].
        scores: float64 [K], decayed; NaN comes before every number, as it does in torch.
    """

    indices: Int
    labels: Int
    scores: Float


def points_nms(scores: npt.NDArray[np.floating]) -> Float:
    """Zeroes each cell that its upper, left or upper-left neighbour beats.

    Args:
        scores: [C, G, G] class probabilities of one level.

    Returns:
        float64 [C, G, G].
    """
    kept = np.zeros(scores.shape, np.float64)
    for channel, row, column in np.ndindex(scores.shape):
        window = scores[channel, max(row - 1, 0) : row + 1, max(column - 1, 0) : column + 1]
        if scores[channel, row, column] == window.max():
            kept[channel, row, column] = scores[channel, row, column]
    return kept


def descending(scores: npt.NDArray[np.floating]) -> Int:
    """The stable order from the highest score to the lowest, NaN first."""
    return np.argsort(-np.where(np.isnan(scores), np.inf, scores), kind="stable")


def iou(a: Bool, b: Bool) -> float:
    """Intersection over union of two masks; NaN where both are empty."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else float("nan")


def decay_factors(masks: Bool, labels: Int, kernel: Kernel, sigma: float = 2.0) -> Float:
    """The factor by which each mask's score shrinks.

    Args:
        masks: bool [N, h, w], in descending order of score.
        labels: int64 [N]; masks of different labels leave each other alone.
        kernel: how an overlap turns into a factor.
        sigma: steepness of the Gaussian kernel; the linear one has none.

    Returns:
        float64 [N].
    """
    count = len(masks)
    overlaps = np.zeros((count, count))
    for j in range(count):
        for i in range(j):
            if labels[i] == labels[j]:
                overlaps[i, j] = iou(masks[i], masks[j])

    def penalty(overlap: Float) -> Float:
        return 1 - overlap if kernel == "linear" else np.exp(-sigma * overlap**2)

    factors = np.full(count, np.inf)
    compensations = overlaps.max(axis=0, initial=0)
    with np.errstate(divide="ignore", invalid="ignore"):  # the linear kernel divides by 1 - IoU
        for j in range(count):
            for i in range(count):
                factor = penalty(overlaps[i, j]) / penalty(compensations[i])
                factors[j] = np.minimum(factors[j], factor)
    return factors


def matrix_nms(
    masks: Bool,
    labels: Int,
    scores: npt.NDArray[np.floating],
    *,
    kernel: Kernel = "gaussian",
    sigma: float = 2.0,
    threshold: float | None = None,
    candidates: int | None = None,
    survivors: int | None = None,
) -> Survivors:
    """Decays the scores of overlapping masks.

    Args:
        masks: bool [N, h, w].
        labels: int64 [N].
        scores: [N], in any order.
        kernel: how an overlap turns into a factor.
        sigma: steepness of the Gaussian kernel.
        threshold: keep decayed scores of at least this; all where None.
        candidates: how many of the best enter; all where None.
        survivors: how many of the best leave; all where None.
    """
    order = descending(scores)[:candidates]
    factors = decay_factors(masks[order], labels[order], kernel, sigma)
    decayed = scores[order].astype(np.float64) * factors
    if threshold is not None:
        passed = decayed >= threshold  # false for NaN
        order, decayed = order[passed], decayed[passed]
    best = descending(decayed)[:survivors]
    return Survivors(order[best], labels[order[best]], decayed[best])
