"""Points NMS, Matrix NMS (SOLOv2, section 3.3) and fast NMS, batched over images and traceable."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from model.configuration.network import NmsKernel
from model.network.mask_overlap import mask_overlaps

# Keeps 0 / 0 out of the linear kernel: a mask with an exact copy above it suppresses nothing more.
_SMALLEST = 1e-6


def points_nms(probabilities: Tensor) -> Tensor:
    """Zeroes every cell that its upper, left or upper-left neighbour outscores, class by class.

    Args:
        probabilities: float [N, C, G, G].

    Returns:
        The same with zeros.
    """
    highest = F.max_pool2d(probabilities, kernel_size=2, stride=1, padding=1)[..., :-1, :-1]
    return torch.where(highest == probabilities, probabilities, 0.0)


def overlap_with_better(masks: Tensor, labels: Tensor, scores: Tensor) -> Tensor:
    """IoU of every mask with the better masks of its class.

    Args:
        masks: bool or 0/1 [N, K, h, w].
        labels: int64 [N, K].
        scores: float32 [N, K]; 0 for an entry that is not there.

    Returns:
        As `iou_with_better`.
    """
    groups = torch.where(scores > 0, labels, -1)
    areas, overlaps = mask_overlaps(masks.to(torch.bool), groups)
    return iou_with_better(areas, overlaps, labels, scores)


def iou_with_better(areas: Tensor, overlaps: Tensor, labels: Tensor, scores: Tensor) -> Tensor:
    """IoU, from counts of pixels, of every mask with the better masks of its class.

    Nothing needs to be sorted: a mask is better where its score is higher, or equal with a lower
    index.

    Args:
        areas: float32 [N, K].
        overlaps: float32 [N, K, K].
        labels: int64 [N, K].
        scores: float32 [N, K]; 0 for an entry that is not there.

    Returns:
        float32 [N, K, K]; row i, column j is 0 but where i is better than j and of its class.
    """
    better = _better(scores) & (labels[:, :, None] == labels[:, None, :])
    areas = areas.clamp(min=1.0)  # else 0 / 0
    # A product where `where` would do: ONNX Runtime takes a third of the time.
    return overlaps / (areas[:, :, None] + areas[:, None, :] - overlaps) * better


def decay(
    iou: Tensor, scores: Tensor, kernel: NmsKernel = "gaussian", sigma: float = 2.0
) -> Tensor:
    """Lowers the score of each mask by how much a better one of its class covers it.

    decay_j = min_i f(iou_ij) / f(iou_i) over all better i, where iou_i is the largest IoU of i with
    a mask better than i, and f is exp(-sigma iou^2) or 1 - iou. For an i that is not better the
    factor is 1 or above, and so of no account.

    Args:
        iou: float32 [N, K, K], from `overlap_with_better`.
        scores: float32 [N, K].
        kernel: "gaussian" or "linear".
        sigma: of the Gaussian kernel.

    Returns:
        float32 [N, K], at most the scores, in the order of the input.
    """
    if not scores.shape[1]:
        return scores
    if kernel == "gaussian":
        squares = iou * iou
        # The exponential of the largest is the least of the exponentials.
        lowered = (squares - squares.amax(1)[:, :, None]).amax(1).clamp(min=0.0)
        return scores * torch.exp(-sigma * lowered)
    factors = (1 - iou) / (1 - iou.amax(1)[:, :, None]).clamp(min=_SMALLEST)
    return scores * factors.amin(1).clamp(max=1.0)


def matrix_nms(
    masks: Tensor,
    labels: Tensor,
    scores: Tensor,
    kernel: NmsKernel = "gaussian",
    sigma: float = 2.0,
) -> Tensor:
    """Matrix NMS: `decay` of `overlap_with_better`, which see."""
    return decay(overlap_with_better(masks, labels, scores), scores, kernel, sigma)


def fast_nms(iou: Tensor, scores: Tensor, threshold: float = 0.5) -> Tensor:
    """Drops every mask that overlaps a better one, kept or not (YOLACT, arXiv 1904.02689, 3.4).

    Args:
        iou: float32 [N, K, K], from `overlap_with_better`.
        scores: float32 [N, K].
        threshold: the IoU above which a mask is dropped.

    Returns:
        float32 [N, K].
    """
    return torch.where((iou > threshold).any(1), 0.0, scores)


def _better(scores: Tensor) -> Tensor:
    index = torch.arange(scores.shape[1], device=scores.device)
    first, second = scores[:, :, None], scores[:, None, :]
    return (first > second) | ((first == second) & (index[:, None] < index))
