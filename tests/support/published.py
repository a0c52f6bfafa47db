"""Synthetic published checkpoints: mmdetection's names for any network, and the other two's."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from model.configuration.network import ModelConfig
from model.network.solo_network import SoloNetwork
from tests.support.mmdet_names import mmdet_name

# mmdetection to WXinlong/SOLO, which was a fork of an early version.
_WXINLONG = (
    (r"mask_head\.cls_convs\.", "bbox_head.cate_convs."),
    (r"mask_head\.kernel_convs\.", "bbox_head.kernel_convs."),
    (r"mask_head\.mask_convs", "bbox_head.ins_convs"),
    (r"mask_head\.conv_kernel\.", "bbox_head.solo_kernel."),
    (r"mask_head\.conv_mask_list\.", "bbox_head.solo_ins_list."),
    (r"mask_head\.conv_mask_list_", "bbox_head.dsolo_ins_list_"),
    (r"mask_head\.mask_feature_head\.conv_pred\.", "mask_feat_head.conv_pred.0."),
    (r"mask_head\.mask_feature_head\.", "mask_feat_head."),
)
_PARTS = {"conv": 0, "gn": 1}


def published_state(config: ModelConfig, seed: int = 0) -> dict[str, Tensor]:
    """Random weights of a network under mmdetection's names, with its three-channel stem."""
    generator = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        shapes = {name: value.shape for name, value in SoloNetwork(config).state_dict().items()}
    shapes["backbone.conv1.weight"] = torch.Size((64, 3, 7, 7))
    state = {}
    for name, shape in shapes.items():
        key = published_name(name)
        if name.endswith("num_batches_tracked"):
            state[key] = torch.tensor(7)
        elif name.endswith("running_var"):
            state[key] = torch.rand(shape, generator=generator) + 0.5
        else:
            state[key] = torch.randn(shape, generator=generator) * 0.1
    return state


def published_name(name: str) -> str:
    """mmdetection's name of one of our weights."""
    part, rest = name.split(".", 1)
    if part == "backbone":
        return name
    return {"fpn": "neck.", "head": "mask_head."}[part] + mmdet_name(rest)


def wxinlong_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under WXinlong/SOLO's names."""
    decoupled = any("conv_mask_list_x" in key for key in state)
    category = "bbox_head.dsolo_cate." if decoupled else "bbox_head.solo_cate."
    rules = ((r"mask_head\.conv_cls\.", category), *_WXINLONG)
    renamed = {}
    for key, value in state.items():
        name = key
        for pattern, replacement in rules:
            name = re.sub(f"^{pattern}", replacement, name)
        renamed[name] = value
    return renamed


def adelaidet_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under AdelaiDet's names, which has SOLOv2 only and freezes its norms."""
    return {
        _adelaidet_name(key): value
        for key, value in state.items()
        if not key.endswith("num_batches_tracked")
    }


def _adelaidet_name(key: str) -> str:
    part, rest = key.split(".", 1)
    words = rest.split(".")
    if part == "backbone":
        return "backbone.bottom_up." + _detectron_name(words)
    if part == "neck":  # lateral_convs.0.conv.weight
        kind = "fpn_lateral" if words[0] == "lateral_convs" else "fpn_output"
        return f"backbone.{kind}{int(words[1]) + 2}.{words[-1]}"
    towers = {"cls_convs": "cate_tower", "kernel_convs": "kernel_tower"}
    if words[0] in towers:  # cls_convs.1.gn.bias
        return f"ins_head.{towers[words[0]]}.{3 * int(words[1]) + _PARTS[words[2]]}.{words[3]}"
    if words[0] in ("conv_cls", "conv_kernel"):
        return f"ins_head.{'cate' if words[0] == 'conv_cls' else 'kernel'}_pred.{words[1]}"
    # mask_feature_head.convs_all_levels.2.conv1.gn.bias, mask_feature_head.conv_pred.conv.weight
    return ".".join(["mask_head", *words[1:-2], str(_PARTS[words[-2]]), words[-1]])


def _detectron_name(words: list[str]) -> str:
    if words[0] in ("conv1", "bn1"):
        return "stem.conv1" + (".norm" if words[0] == "bn1" else "") + f".{words[1]}"
    stage = f"res{int(words[0].removeprefix('layer')) + 1}.{words[1]}"
    if words[2] == "downsample":
        return f"{stage}.shortcut" + (".norm" if words[3] == "1" else "") + f".{words[4]}"
    number = words[2][-1]
    return f"{stage}.conv{number}" + (".norm" if words[2].startswith("bn") else "") + f".{words[3]}"
