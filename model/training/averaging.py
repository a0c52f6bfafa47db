"""Running average of the weights, which is evaluated and exported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

_Update = Callable[[Any, Any, Any], None]


def average_of(network: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of a network's weights and running statistics.

    Its decay rises with the steps, so that a short run's average is not that of its first steps.

    Args:
        network: whose copy it starts as.
        decay: the highest.
    """
    return AveragedModel(network, multi_avg_fn=_rising(decay), use_buffers=True)


def decay_at(step: int, highest: float) -> float:
    """The decay at a step: the average then reaches back over a ninth of the run at most."""
    return min(highest, (1 + step) / (10 + step))


def _rising(highest: float) -> _Update:
    @torch.no_grad()
    def update(averaged: Any, current: Any, steps: Any) -> None:  # noqa: ANN401  # torch's own
        get_ema_multi_avg_fn(decay_at(int(steps), highest))(averaged, current, steps)

    return update
