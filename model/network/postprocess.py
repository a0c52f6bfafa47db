"""Post-processing: head outputs to instances (SOLOv2, section 3.3), batched and traceable.

Candidates are cut by category score before any mask is formed, and every step is over fixed shapes,
so that an image's answer does not depend on what shares its batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.configuration.network import ModelConfig
from model.network.heads import HeadOutputs
from model.network.mask_overlap import mask_overlaps
from model.network.matrix_nms import decay, fast_nms, iou_with_better, points_nms
from model.network.onnx_operators import above, as_bytes
from model.network.rows import take_rows

_MASK_PIXEL = 16  # canvas pixels, 4 x 4


@dataclass(frozen=True)
class Candidates:
    """Candidates for non-maximum suppression; P a film, those that are not there with score 0.

    Attributes:
        scores: float32 [N, P], category probability times mean probability inside the mask.
        labels: int64 [N, P].
        probabilities: float32 [N, P, H / 4, W / 4].
        inside: bool, same shape, where the probability is above the mask threshold.
        areas: float32 [N, P], pixels inside.
        overlaps: float32 [N, P, P], pixels that two of one group share.
        groups: int64 [N, P]; members of one suppress each other.
    """

    scores: Tensor
    labels: Tensor
    probabilities: Tensor
    inside: Tensor
    areas: Tensor
    overlaps: Tensor
    groups: Tensor


def find_instances(outputs: HeadOutputs, config: ModelConfig) -> tuple[Tensor, Tensor, Tensor]:
    """The instances of every image, best first.

    Returns:
        scores: float32 [N, K], descending; 0 where there is no instance.
        labels: int64 [N, K]; -1 where there is no instance.
        masks: uint8 [N, K, H / 4, W / 4], probabilities times 255.
    """
    candidates = find_candidates(outputs, config)
    iou = iou_with_better(
        candidates.areas, candidates.overlaps, candidates.groups, candidates.scores
    )
    scores = decay(iou, candidates.scores, config.nms_kernel, config.nms_sigma)
    if config.max_overlap < 1:
        scores = fast_nms(iou, scores, config.max_overlap)
    return keep_best(candidates, scores, config)


def find_candidates(outputs: HeadOutputs, config: ModelConfig) -> Candidates:
    """Masks and scores of the best (cell, class) pairs of every image."""
    category = torch.cat(
        [
            points_nms(logits.sigmoid()).flatten(2).transpose(1, 2)
            for logits in outputs.category_logits
        ],
        dim=1,
    )  # [N, cells, C]
    pairs = category.flatten(1)
    pairs = torch.where(pairs > config.candidate_threshold, pairs, 0.0)
    _, chosen = pairs.topk(min(config.max_candidates, pairs.shape[1]), dim=1)
    # Back in the order of the grid, so that ties do not depend on how the runtime sorts.
    chosen = chosen.sort(dim=1).values
    scores = pairs.gather(1, chosen)
    cells = chosen // config.num_classes
    probabilities = outputs.candidate_masks(cells)
    inside = probabilities > config.mask_threshold
    labels = chosen % config.num_classes
    groups = labels * 0 if config.nms_across_classes else labels
    areas, overlaps = mask_overlaps(inside, torch.where(scores > 0, groups, -1))
    total = above(probabilities, config.mask_threshold).flatten(2).sum(2)
    maskness = total / areas.clamp(min=1.0)
    scores = torch.where((scores > 0) & _large_enough(areas, cells, config), scores * maskness, 0.0)
    return Candidates(scores, labels, probabilities, inside, areas, overlaps, groups)


def keep_best(
    candidates: Candidates, scores: Tensor, config: ModelConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """The answer in its fixed form, of candidates whose scores were lowered by their overlaps.

    Args:
        candidates: of every image.
        scores: float32 [N, P] after suppression.
        config: the network's.

    Returns:
        As `find_instances`.
    """
    scores = torch.where(scores >= config.nms_threshold, scores, 0.0)
    count = min(config.max_instances, scores.shape[1])
    scores, order = scores.topk(count, dim=1)
    labels = torch.where(scores > 0, candidates.labels.gather(1, order), -1)
    if count < candidates.scores.shape[1]:
        masks = as_bytes(take_rows(candidates.probabilities, order))
    else:  # bytes are less to move
        masks = take_rows(as_bytes(candidates.probabilities), order)
    missing = config.max_instances - count
    return (
        _filled(scores, missing, 0),
        _filled(labels, missing, -1),
        _filled(masks, missing, 0),
    )


def _filled(entries: Tensor, missing: int, value: int) -> Tensor:
    """Entries [N, K, ...] and so many more of one value; ONNX Runtime pads no integers on a GPU."""
    if not missing:
        return entries
    more = entries.new_full((entries.shape[0], missing, *entries.shape[2:]), value)
    return torch.cat([entries, more], dim=1)


def _large_enough(areas: Tensor, cells: Tensor, config: ModelConfig) -> Tensor:
    if config.min_area is not None:
        return areas * _MASK_PIXEL >= max(config.min_area, 1)
    # The reference asks for more stride-4 pixels than the level's stride, units or not.
    strides = torch.cat(
        [
            torch.full((level.num_grid**2,), level.stride, device=cells.device)
            for level in config.levels
        ]
    )
    return areas > strides[cells]
