"""Answers for tests of their forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from app.schemas import ImageAnswer, Instance, ModelIdentity, Segmentation, Timings

Mask = npt.NDArray[np.bool_]

MODEL = ModelIdentity(name="tiny", version="1", sha256="f" * 64, provider="FakeExecutionProvider")


def instance(mask: Mask, label: str = "lung", score: float = 0.9) -> Instance:
    """An instance with this mask, encoded by pycocotools."""
    encoded: dict[str, Any] = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    height, width = mask.shape
    return Instance(
        label=label,
        category_id=1,
        score=score,
        bbox=tuple(int(side) for side in coco_mask.toBbox(encoded)),
        area=int(mask.sum()),
        segmentation=Segmentation(size=(height, width), counts=encoded["counts"].decode("ascii")),
    )


def answer(*masks: Mask) -> ImageAnswer:
    """An answer with an instance for each mask, best first."""
    height, width = masks[0].shape
    return ImageAnswer(
        index=0,
        sha256="a" * 64,
        height=height,
        width=width,
        frame=0,
        grey="window",
        pixel_spacing=None,
        instances=[instance(mask, score=1 - n / 1000) for n, mask in enumerate(masks)],
        timings=Timings(
            decode_seconds=0, queue_seconds=0, inference_seconds=0, postprocess_seconds=0
        ),
    )


def disc(size: tuple[int, int], center: tuple[float, float], radius: float) -> Mask:
    """True within a circle; all in pixels, rows first."""
    y, x = np.ogrid[: size[0], : size[1]]
    inside: Mask = (y - center[0]) ** 2 + (x - center[1]) ** 2 <= radius**2
    return inside
