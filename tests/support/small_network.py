"""A SOLOv2 network small enough for tests, with the five levels of the paper."""

from __future__ import annotations

from typing import Any

from model.configuration.network import Level, ModelConfig

NUM_GRIDS = (12, 10, 8, 6, 4)
STRIDES = (8, 8, 16, 32, 32)
SCALE_RANGES = ((1, 32), (16, 64), (32, 128), (64, 256), (128, 512))


def small_config(**changes: Any) -> ModelConfig:
    """Three classes, 64 channels throughout, two blocks a tower, 128 x 160 pixels."""
    places = zip((2, 3, 4, 5, 6), STRIDES, NUM_GRIDS, SCALE_RANGES, strict=True)
    defaults: dict[str, Any] = {
        "class_names": ("lung", "heart", "device"),
        "category_ids": (1, 2, 3),
        "backbone": "resnet18",
        "canvas_size": (128, 160),
        "levels": tuple(Level(*place) for place in places),
        "fpn_channels": 64,
        "head_channels": 64,
        "stacked_convs": 2,
        "mask_branch_channels": 64,
        "mask_channels": 64,
    }
    return ModelConfig(**{**defaults, **changes})
