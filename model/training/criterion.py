"""Criterion: targets and losses of a batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from model.configuration.network import MaskLossName, ModelConfig
from model.data.objects import Objects
from model.network.heads import HeadOutputs
from model.training.losses import cross_entropy_loss, dice_loss, sigmoid_focal_loss
from model.training.targets import LevelTargets, assign, binary_mask_targets, mask_targets

# Beside a category loss of weight 1 (SOLO, sections 3.3.2 and 4.2).
MASK_LOSS_WEIGHTS: dict[MaskLossName, float] = {"dice": 3.0, "bce": 10.0, "focal": 20.0}


class Criterion:
    """The category loss and the mask loss of any variant.

    Args:
        config: the network's.
    """

    def __init__(self, config: ModelConfig) -> None:
        self.config = config

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

        losses = [
            self._mask_losses(outputs, image, objects, levels)
            for image, (objects, levels) in enumerate(zip(batch, targets, strict=True))
        ]
        mask = torch.cat(losses).sum() / positives.clamp(min=1)
        return {"category": category, "mask": MASK_LOSS_WEIGHTS[self.config.mask_loss] * mask}

    def _mask_losses(
        self, outputs: HeadOutputs, image: int, objects: Objects, levels: list[LevelTargets]
    ) -> Tensor:
        """The unweighted loss of every positive of an image: [P].

        An image without objects goes the same way, so that its empty losses reach every weight.
        """
        by_stride: dict[int, Tensor] = {}
        losses = []
        masks_of_levels = outputs.mask_logits(image, [level.cells for level in levels])
        for logits, level in zip(masks_of_levels, levels, strict=True):
            stride = objects.masks.shape[-1] // logits.shape[-1]
            if stride not in by_stride:
                by_stride[stride] = self._mask_targets(objects.masks, stride)
            losses.append(self._mask_loss(logits, by_stride[stride][level.objects]))
        return torch.cat(losses)

    def _mask_targets(self, masks: Tensor, stride: int) -> Tensor:
        if self.config.mask_targets == "binary":
            return binary_mask_targets(masks, stride)
        return mask_targets(masks, stride)

    def _mask_loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        match self.config.mask_loss:
            case "dice":
                return dice_loss(logits.sigmoid(), targets)
            case "focal":
                return sigmoid_focal_loss(logits.float(), targets).flatten(1).mean(1)
            case "bce":
                return cross_entropy_loss(logits, targets)
