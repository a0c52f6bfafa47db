"""Hard and soft NMS of masks, which Matrix NMS is compared with (SOLOv2, table 7).

Each takes the IoU of masks with better ones of their class, from
`model.network.matrix_nms.overlap_with_better`, and answers with scores in the order of the input;
0 is suppressed. They go from the best mask to the worst, which no graph of fixed shapes does well.
"""

from __future__ import annotations

import torch
from torch import Tensor


def hard_nms(iou: Tensor, scores: Tensor, threshold: float = 0.5) -> Tensor:
    """Drops every mask that overlaps a better one that was kept.

    Args:
        iou: float32 [N, K, K].
        scores: float32 [N, K]; 0 for an entry that is not there.
        threshold: the IoU above which a mask is dropped.

    Returns:
        float32 [N, K].
    """
    suppresses = iou > threshold
    kept = scores > 0
    for film, order in enumerate(scores.argsort(dim=1, descending=True, stable=True).tolist()):
        for best in order:
            if kept[film, best]:
                kept[film] &= ~suppresses[film, best]
    return torch.where(kept, scores, 0.0)


def soft_nms(iou: Tensor, scores: Tensor, sigma: float = 0.5) -> Tensor:
    """Soft NMS with the Gaussian kernel (Bodla et al., arXiv 1704.04503, equation 3).

    Takes the best of what is left, lowers the others by exp(-iou^2 / sigma), and again. Lowered
    scores change the order, so a mask may also lower one that was better at first.

    Args:
        iou: float32 [N, K, K].
        scores: float32 [N, K]; 0 for an entry that is not there.
        sigma: the greater, the gentler.

    Returns:
        float32 [N, K].
    """
    factors = torch.exp(-torch.maximum(iou, iou.transpose(1, 2)).square() / sigma)
    scores, left = scores.clone(), scores > 0
    films = torch.arange(len(scores), device=scores.device)
    for _ in range(int(left.sum(1).amax()) if left.numel() else 0):
        best = torch.where(left, scores, -1.0).argmax(1)
        taken = left[films, best]
        left[films, best] = False
        lowered = scores * factors[films, best]
        scores = torch.where(left & taken[:, None], lowered, scores)
    return scores
