"""Targets and losses of a batch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from model.config import ModelConfig
from model.losses import dice_loss, sigmoid_focal_loss
from model.solov2_head import HeadOutputs, form_masks
from model.targets import Objects, assign, mask_targets

MASK_LOSS_WEIGHT = 3.0


class Criterion:
    """The two losses of SOLOv2, summed with weights 1 (category) and 3 (mask).

    Args:
        config: the network's.
        to_mask_targets: from uint8 [n, H, W] to float32 [n, H / 4, W / 4]; `mask_targets`, or the
            reference's `binary_mask_targets`.
    """

    def __init__(
        self, config: ModelConfig, to_mask_targets: Callable[[Tensor], Tensor] = mask_targets
    ) -> None:
        self.config = config
        self.to_mask_targets = to_mask_targets

    def __call__(self, outputs: HeadOutputs, batch: list[Objects]) -> dict[str, Tensor]:
        """Named losses, each a scalar that already has its weight.

        The category loss is divided by one more than the positive cells of the batch, the mask loss
        by the positive cells. A batch without objects has a mask loss of 0 with a gradient of 0.
        """
        targets = [assign(objects, self.config) for objects in batch]
        labels = torch.cat(
            [level.labels.flatten() for levels in zip(*targets, strict=True) for level in levels]
        )
        logits = torch.cat(
            [level.flatten(2).transpose(1, 2).flatten(0, 1) for level in outputs.category_logits]
        )
        num_classes = self.config.num_classes
        positives = (labels < num_classes).sum()
        one_hot = F.one_hot(labels, num_classes + 1)[:, :-1].to(logits.dtype)
        category = sigmoid_focal_loss(logits, one_hot).sum() / (positives + 1)

        losses = []
        for index, (objects, levels) in enumerate(zip(batch, targets, strict=True)):
            chosen = torch.cat([level.objects for level in levels])
            if not len(chosen):
                continue
            kernels = torch.cat(
                [
                    kernels[index].flatten(1)[:, level.cells].T
                    for kernels, level in zip(outputs.kernels, levels, strict=True)
                ]
            )
            probabilities = form_masks(kernels, outputs.mask_features[index]).sigmoid()
            losses.append(dice_loss(probabilities, self.to_mask_targets(objects.masks)[chosen]))
        if losses:
            mask = torch.cat(losses).sum() / positives
        else:
            mask = outputs.mask_features.sum() * 0 + sum(k.sum() * 0 for k in outputs.kernels)
        return {"category": category, "mask": MASK_LOSS_WEIGHT * mask}
