"""Ground truth of one training image: masks, boxes and labels of its objects."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Objects:
    """The objects in one image, in annotation order.

    Attributes:
        masks: uint8 [n, H, W] over the canvas: how much of each pixel is covered, 0 to 255.
        boxes: float32 [n, 4], x1, y1, x2, y2 in canvas pixels, max exclusive.
        labels: int64 [n].
    """

    masks: Tensor
    boxes: Tensor
    labels: Tensor
