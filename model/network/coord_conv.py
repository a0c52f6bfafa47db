"""Coordinate channels (CoordConv, arXiv 1807.03247; SOLO section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor


def append_coordinates(features: Tensor) -> Tensor:
    """Appends x, then y, each from -1 at the first pixel's centre to 1 at the last one's.

    Args:
        features: [N, C, H, W].

    Returns:
        [N, C + 2, H, W], same dtype.
    """
    count, _, height, width = features.shape
    x = torch.linspace(-1, 1, width, device=features.device).expand(count, 1, height, width)
    y = torch.linspace(-1, 1, height, device=features.device).unsqueeze(1).expand_as(x)
    return torch.cat([features, x.to(features.dtype), y.to(features.dtype)], dim=1)
