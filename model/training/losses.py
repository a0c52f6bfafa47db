"""The losses of SOLO as pure functions (arXiv 1912.04488, section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_EPSILON = 1e-3


def sigmoid_focal_loss(
    logits: Tensor, targets: Tensor, alpha: float = 0.25, gamma: float = 2.0
) -> Tensor:
    """Focal loss of independent categories, elementwise (arXiv 1708.02002, equation 5).

    Args:
        logits: float [...].
        targets: float, same shape, in [0, 1]; between the two, what is wrong of a prediction is its
            distance to the target.
        alpha: weight of the positives; the negatives have 1 - alpha.
        gamma: how strongly what is already right is discounted; 0 is weighted cross-entropy.

    Returns:
        Same shape, 0 or above.
    """
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    probability = logits.sigmoid()
    wrong = (probability - targets).abs()
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    return weight * wrong.pow(gamma) * cross_entropy


def dice_loss(probabilities: Tensor, targets: Tensor) -> Tensor:
    """One minus the dice coefficient with squares (SOLO, equation 4), one value a mask.

    The sums are taken in float32 whatever the input: in float16 they overflow. An empty target
    costs 1 whatever is predicted, as in the reference.

    Args:
        probabilities: float [P, h, w] in [0, 1].
        targets: float [P, h, w] in [0, 1].

    Returns:
        float32 [P] in [0, 1].
    """
    p, q = probabilities.float().flatten(1), targets.float().flatten(1)
    overlap = (p * q).sum(1)
    return 1 - 2 * overlap / ((p * p).sum(1) + _EPSILON + (q * q).sum(1) + _EPSILON)


def cross_entropy_loss(logits: Tensor, targets: Tensor, positive_weight: float = 2.0) -> Tensor:
    """Mean binary cross-entropy of a mask's pixels, one value a mask (SOLO, section 4.2, table 6).

    Args:
        logits: float [P, h, w].
        targets: float [P, h, w] in [0, 1].
        positive_weight: of pixels that are in the object, 2 in the paper.

    Returns:
        float32 [P], 0 or above.
    """
    weight = logits.new_tensor(positive_weight, dtype=torch.float32)
    pixels = F.binary_cross_entropy_with_logits(
        logits.float(), targets.float(), reduction="none", pos_weight=weight
    )
    return pixels.flatten(1).mean(1)
