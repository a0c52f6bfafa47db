"""Optimisers, and the learning-rate schedule."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from model.configuration.recipe import TrainConfig
from model.network.solo_network import SoloNetwork

_MOMENTUM = 0.9


def build_optimizer(network: SoloNetwork, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser of a recipe; each group has its peak rate under `peak`."""
    groups = _parameter_groups(network, config)
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=_MOMENTUM)
    return torch.optim.AdamW(groups)


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Part of the peak rate at a step: a linear rise, then a cosine to 1 % or falls to a tenth.

    A run shorter than ten warm-ups warms up for a tenth of its length, so that it never ends before
    it has begun.
    """
    warmup = min(config.warmup_iterations, max(1, config.iterations // 10))
    if step < warmup:
        return (step + 1) / warmup
    if config.milestones:
        passed = sum(step >= part * config.iterations for part in config.milestones)
        return float(0.1**passed)
    progress = (step - warmup) / max(1, config.iterations - warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))


def _parameter_groups(network: SoloNetwork, config: TrainConfig) -> list[dict[str, Any]]:
    """Backbone, unless frozen, and the rest at their rates; no decay on norms and biases."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        in_backbone = name.startswith("backbone.")
        peak = config.backbone_learning_rate if in_backbone else config.learning_rate
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((peak, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": peak, "peak": peak, "weight_decay": decay}
        for (peak, decay), parameters in groups.items()
    ]
