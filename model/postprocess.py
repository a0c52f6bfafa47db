"""Raw head outputs to a fixed number of instances (SOLOv2, section 3.3), batched and traceable.

Candidates are cut by category score before any mask is formed, and every step is over fixed shapes,
so that an image's answer does not depend on what shares its batch.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from model.config import ModelConfig
from model.matrix_nms import matrix_nms, points_nms
from model.solov2_head import HeadOutputs, form_masks


def find_instances(outputs: HeadOutputs, config: ModelConfig) -> tuple[Tensor, Tensor, Tensor]:
    """The instances of every image, best first.

    Returns:
        scores: float32 [N, K], descending; 0 where there is no instance.
        labels: int64 [N, K]; -1 where there is no instance.
        masks: uint8 [N, K, H / 4, W / 4], probabilities times 255.
    """
    scores, labels, probabilities, min_areas = _candidates(outputs, config)
    inside = probabilities > config.mask_threshold
    areas = inside.flatten(2).sum(2)
    maskness = (probabilities * inside).flatten(2).sum(2) / areas.clamp(min=1)
    scores = torch.where((scores > 0) & (areas > min_areas), scores * maskness, 0.0)
    scores = matrix_nms(inside, labels, scores, config.nms_kernel, config.nms_sigma)
    scores = torch.where(scores >= config.nms_threshold, scores, 0.0)

    count = min(config.max_instances, scores.shape[1])
    scores, order = scores.topk(count, dim=1)
    labels = torch.where(scores > 0, labels.gather(1, order), -1)
    index = order[:, :, None, None].expand(-1, -1, *probabilities.shape[2:])
    # Halves go down, so that 0.5 becomes 127 and stays outside of "above 127.5".
    masks = (probabilities.gather(1, index) * 255 - 0.5).ceil().to(torch.uint8)
    missing = config.max_instances - count
    return (
        F.pad(scores, (0, missing)),
        F.pad(labels, (0, missing), value=-1),
        F.pad(masks, (0, 0, 0, 0, 0, missing)),
    )


def _candidates(outputs: HeadOutputs, config: ModelConfig) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Scores, labels, mask probabilities and smallest areas of the best (cell, class) pairs."""
    per_level = [
        points_nms(logits.sigmoid()).flatten(2).transpose(1, 2)
        for logits in outputs.category_logits
    ]
    category = torch.cat(per_level, dim=1)  # [N, cells, C]
    kernels = torch.cat([k.flatten(2).transpose(1, 2) for k in outputs.kernels], dim=1)
    pairs = category.flatten(1)
    pairs = torch.where(pairs > config.score_threshold, pairs, 0.0)
    _, chosen = pairs.topk(min(config.max_candidates, pairs.shape[1]), dim=1)
    # Back in the order of the grid, so that ties do not depend on how the runtime sorts.
    chosen = chosen.sort(dim=1).values
    scores = pairs.gather(1, chosen)
    cells = chosen // config.num_classes
    labels = chosen % config.num_classes
    kernels = kernels.gather(1, cells[:, :, None].expand(-1, -1, kernels.shape[2]))
    probabilities = form_masks(kernels, outputs.mask_features).sigmoid()
    # The reference asks for more stride-4 pixels than the level's stride, units or not.
    strides = torch.cat(
        [
            torch.full((level.num_grid**2,), level.stride, device=cells.device)
            for level in config.levels
        ]
    )
    return scores, labels, probabilities, strides[cells]
