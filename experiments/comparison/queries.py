"""Instances as the answers of a query-based network (arXiv 2112.01527, section 3 and its code)."""

from __future__ import annotations

import torch
from torch import Tensor

from experiments.comparison.contender import MAX_INSTANCES, MIN_SCORE
from solo.contract.instances import Instances


def read_queries(class_logits: Tensor, mask_logits: Tensor) -> Instances:
    """The best (query, class) pairs; a score is class probability times mean mask probability.

    Args:
        class_logits: float32 [Q, C + 1], "no object" last.
        mask_logits: float32 [Q, h, w].
    """
    classes = class_logits.shape[1] - 1
    probabilities = class_logits.softmax(1)[:, :-1].flatten()
    best, pairs = probabilities.topk(min(MAX_INSTANCES, len(probabilities)))
    masks = mask_logits[pairs // classes].sigmoid()
    inside = masks > 0.5
    certainty = (masks * inside).sum((1, 2)) / inside.sum((1, 2)).clamp(min=1)
    scores, order = (best * certainty).sort(descending=True, stable=True)
    found = Instances(
        (masks[order] * 255).round().to(torch.uint8).numpy(),
        (pairs % classes)[order].numpy(),
        scores.numpy(),
    )
    return found.select(MIN_SCORE, MAX_INSTANCES)
