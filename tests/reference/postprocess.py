"""SOLO inference for one image, from raw logits to masks in its own pixels.

Source: SOLOv2 (NeurIPS 2020), sections 3.1.3 and 3.3; thresholds as in the released code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tests.reference.losses import sigmoid
from tests.reference.matrix_nms import Kernel, matrix_nms, points_nms
from tests.reference.network import resize

Float = npt.NDArray[np.float64]
Floats = Sequence[npt.NDArray[np.floating]]


@dataclass(frozen=True)
class Thresholds:
    """Where inference cuts.

    Attributes:
        category: candidates have a class probability above this.
        mask: pixels of a mask have a probability above this.
        decayed: instances keep at least this score after Matrix NMS.
        candidates: how many enter Matrix NMS.
        instances: how many leave it.
    """

    category: float = 0.1
    mask: float = 0.5
    decayed: float = 0.05
    candidates: int = 500
    instances: int = 100


@dataclass(frozen=True)
class Found:
    """Masks with labels and scores.

    Attributes:
        masks: float64 [N, h, w] probabilities.
        labels: int64 [N].
        scores: float64 [N].
    """

    masks: Float
    labels: npt.NDArray[np.int64]
    scores: Float


def candidates(
    categories: Floats,
    kernels: Floats,
    mask_features: npt.NDArray[np.floating],
    strides: Sequence[int],
    thresholds: Thresholds,
) -> Found:
    """SOLOv2's candidates.

    Args:
        categories: [C, G, G] logits per level.
        kernels: [E, G, G] per level.
        mask_features: [E, h, w].
        strides: as `entering` has it.
        thresholds: where to cut.
    """

    def mask_of(level: int, row: int, column: int) -> Float:
        weights = kernels[level][:, row, column].astype(np.float64)
        return sigmoid(np.tensordot(weights, mask_features, axes=1))

    size = (mask_features.shape[1], mask_features.shape[2])
    return entering(categories, mask_of, size, strides, thresholds)


def entering(
    categories: Floats,
    mask_of: Callable[[int, int, int], Float],
    size: tuple[int, int],
    strides: Sequence[int],
    thresholds: Thresholds,
) -> Found:
    """What enters Matrix NMS, level by level in (cell, class) order.

    Args:
        categories: [C, G, G] logits per level.
        mask_of: probabilities [h, w] at stride 4 of a cell, given level, row and column.
        size: (h, w).
        strides: of the aligned levels; an area must be above it, in pixels of the mask.
        thresholds: where to cut.
    """
    masks, labels, scores = [], [], []
    for level, (logits, stride) in enumerate(zip(categories, strides, strict=True)):
        probabilities = points_nms(sigmoid(logits))
        for row, column, label in np.ndindex(*logits.shape[1:], logits.shape[0]):
            score = probabilities[label, row, column]
            if not score > thresholds.category:
                continue
            mask = mask_of(level, row, column)
            inside = mask[mask > thresholds.mask]
            if inside.size > stride:
                masks.append(mask)
                labels.append(label)
                scores.append(score * inside.mean())
    stacked = np.stack(masks) if masks else np.zeros((0, *size))
    return Found(stacked, np.array(labels, np.int64), np.array(scores, np.float64))


def suppress(found: Found, thresholds: Thresholds, kernel: Kernel = "gaussian") -> Found:
    """Matrix NMS of the candidates, best first."""
    kept = matrix_nms(
        found.masks > thresholds.mask,
        found.labels,
        found.scores,
        kernel=kernel,
        threshold=thresholds.decayed,
        candidates=thresholds.candidates,
        survivors=thresholds.instances,
    )
    return Found(found.masks[kept.indices], kept.labels, kept.scores)


def restore(
    masks: Float, resized_size: tuple[int, int], original_size: tuple[int, int], threshold: float
) -> npt.NDArray[np.bool_]:
    """Stride-4 probabilities to binary masks in the image's own pixels.

    Args:
        masks: float64 [N, h, w] over the canvas, whose top left corner the image fills.
        resized_size: (height, width) of the image on the canvas.
        original_size: (height, width) of the image itself.
        threshold: applied last, on the soft mask at its final size.
    """
    height, width = resized_size
    canvas = resize(masks, (4 * masks.shape[1], 4 * masks.shape[2]))
    return resize(canvas[:, :height, :width], original_size) > threshold
