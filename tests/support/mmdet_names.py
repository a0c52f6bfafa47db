"""Weights of our FPN and heads under mmdetection's names, and back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

_RULES = (
    (r"^lateral\.(\d)\.", r"lateral_convs.\1.conv."),
    (r"^output\.(\d)\.", r"fpn_convs.\1.conv."),
    (r"^category_tower\.", "cls_convs."),
    (r"^kernel_tower\.", "kernel_convs."),
    (r"^category\.", "conv_cls."),
    (r"^kernel\.", "conv_kernel."),
    (r"^mask_tower\.", "mask_convs."),
    (r"^([xy])_tower\.", r"mask_convs_\1."),
    (r"^masks\.", "conv_mask_list."),
    (r"^([xy])_masks\.", r"conv_mask_list_\1."),
    (r"^mask_branch\.predict\.", "mask_feature_head.conv_pred."),
    (r"\.norm\.", ".gn."),
)


def mmdet_name(name: str) -> str:
    """What mmdetection calls a weight of our FPN or heads."""
    for pattern, replacement in _RULES:
        name = re.sub(pattern, replacement, name)
    return re.sub(r"^mask_branch\.levels\.(\d)\.(\d)\.", _mask_branch_block, name)


def _mask_branch_block(match: re.Match[str]) -> str:
    level, step = match.groups()  # of every two modules, one is the upsampling
    return f"mask_feature_head.convs_all_levels.{level}.conv{int(step) // 2}."


def load_mmdet(module: nn.Module, weights: Mapping[str, npt.NDArray[Any]]) -> None:
    """Fills a module with weights under mmdetection's names; none may be left over."""
    names = {name: mmdet_name(name) for name in module.state_dict()}
    if set(names.values()) != set(weights):
        raise ValueError(f"weights differ in {sorted(set(names.values()) ^ set(weights))}")
    module.load_state_dict({ours: torch.tensor(weights[name]) for ours, name in names.items()})


def as_mmdet(module: nn.Module) -> dict[str, npt.NDArray[np.float32]]:
    """The weights of a module under mmdetection's names."""
    return {mmdet_name(name): weight.numpy() for name, weight in module.state_dict().items()}
