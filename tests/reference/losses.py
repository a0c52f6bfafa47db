"""Focal, dice and cross-entropy loss, and how SOLO sums them over a batch.

Source: focal loss (ICCV 2017), equation 5; SOLO (ECCV 2020), section 3.3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tests.reference.targets import LevelTargets

Float = npt.NDArray[np.float64]
MaskOf = Callable[[int, int, int], Float]
"""Probabilities [h, w] of a cell, given image, level and cell."""
MASK_WEIGHT = 3.0
DICE_EPSILON = 1e-3


def sigmoid(logits: npt.NDArray[np.floating]) -> Float:
    """The logistic function in float64."""
    return np.exp(-np.logaddexp(0, -logits.astype(np.float64)))


def focal_loss(
    logits: npt.NDArray[np.floating],
    labels: npt.NDArray[np.int64],
    alpha: float = 0.25,
    gamma: float = 2.0,
) -> Float:
    """Sigmoid focal loss of each entry.

    Args:
        logits: [N, C].
        labels: int64 [N] in [0, C]; C is background.
        alpha: weight of the positives; the negatives' is 1 - alpha.
        gamma: how much easy entries are played down.

    Returns:
        float64 [N, C].
    """
    losses = np.zeros(logits.shape)
    for row, label in enumerate(labels):
        for column in range(logits.shape[1]):
            positive = column == label
            logit = np.float64(logits[row, column] if positive else -logits[row, column])
            log_p = -np.logaddexp(0, -logit)  # of the right answer
            wrong = np.exp(-np.logaddexp(0, logit))
            weight = alpha if positive else 1 - alpha
            losses[row, column] = -weight * wrong**gamma * log_p
    return losses


def dice_loss(probabilities: npt.NDArray[np.floating], target: npt.NDArray[np.generic]) -> float:
    """Dice loss of one mask, with squares; an empty target costs 1 whatever is predicted.

    Args:
        probabilities: [h, w] in [0, 1].
        target: [h, w], 0 or 1.
    """
    p, q = probabilities.astype(np.float64), target.astype(np.float64)
    denominator = (p**2).sum() + DICE_EPSILON + (q**2).sum() + DICE_EPSILON
    return float(1 - 2 * (p * q).sum() / denominator)


def pixel_cross_entropy(
    probabilities: npt.NDArray[np.floating], target: npt.NDArray[np.generic]
) -> float:
    """Mean cross-entropy of a mask's pixels; those in the object count twice (SOLO, table 6)."""
    p, q = probabilities.astype(np.float64), target.astype(np.float64)
    return float(-(2 * q * np.log(p) + (1 - q) * np.log1p(-p)).mean())


def pixel_focal(probabilities: npt.NDArray[np.floating], target: npt.NDArray[np.generic]) -> float:
    """Mean focal loss of a mask's pixels; what is wrong of one is its distance to the target."""
    p, q = probabilities.astype(np.float64), target.astype(np.float64)
    weight = 0.25 * q + 0.75 * (1 - q)
    entropy = -(q * np.log(p) + (1 - q) * np.log1p(-p))
    return float((weight * (p - q) ** 2 * entropy).mean())


def solo_losses(
    category_logits: Sequence[npt.NDArray[np.floating]],
    mask_of: MaskOf,
    targets: Sequence[Sequence[LevelTargets]],
    *,
    mean_over_targets: bool = False,
    mask_loss: Callable[[Float, npt.NDArray[np.generic]], float] = dice_loss,
    mask_weight: float = MASK_WEIGHT,
) -> tuple[float, float]:
    """The weighted (mask, category) loss of a batch.

    Args:
        category_logits: [N, C, G, G] per level.
        mask_of: the mask of a cell.
        targets: of each image, of each level.
        mean_over_targets: divide the mask loss by its targets, with repeats, rather than by the
            positive cells. They differ where two objects share a cell.
        mask_loss: of one mask.
        mask_weight: of the mask loss, beside the category loss's 1.
    """
    mask_losses, focal, cells = [], 0.0, 0
    for image, levels in enumerate(targets):
        for number, (logits, level) in enumerate(zip(category_logits, levels, strict=True)):
            flat = logits[image].reshape(logits.shape[1], -1).T
            focal += float(focal_loss(flat, level.labels.reshape(-1)).sum())
            cells += len({cell for cell, _ in level.pairs})
            for (cell, _), target in zip(level.pairs, level.masks, strict=True):
                mask_losses.append(mask_loss(mask_of(image, number, cell), target))
    divisor = len(mask_losses) if mean_over_targets else cells
    return mask_weight * sum(mask_losses) / max(divisor, 1), focal / (cells + 1)


def solov2_masks(
    kernels: Sequence[npt.NDArray[np.floating]], mask_features: npt.NDArray[np.floating]
) -> MaskOf:
    """SOLOv2's masks.

    Args:
        kernels: [N, E, G, G] per level.
        mask_features: [N, E, h, w].
    """

    def mask_of(image: int, level: int, cell: int) -> Float:
        weights = kernels[level][image].reshape(len(mask_features[image]), -1)[:, cell]
        return sigmoid(np.tensordot(weights.astype(np.float64), mask_features[image], axes=1))

    return mask_of


def solov2_losses(
    category_logits: Sequence[npt.NDArray[np.floating]],
    kernels: Sequence[npt.NDArray[np.floating]],
    mask_features: npt.NDArray[np.floating],
    targets: Sequence[Sequence[LevelTargets]],
    *,
    mean_over_targets: bool = False,
) -> tuple[float, float]:
    """`solo_losses` of SOLOv2's raw outputs."""
    mask_of = solov2_masks(kernels, mask_features)
    return solo_losses(category_logits, mask_of, targets, mean_over_targets=mean_over_targets)
