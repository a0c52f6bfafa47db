"""Key mapping of mmdetection's, WXinlong/SOLO's and AdelaiDet's state dicts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

Layout = Literal["mmdetection", "wxinlong", "adelaidet"]
Rule = tuple[str, str]

_RESNET: tuple[Rule, ...] = ((r"backbone\.((?:conv1|bn1|layer\d)\..+)", r"backbone.\1"),)
_OPENMMLAB: tuple[Rule, ...] = (
    *_RESNET,
    (r"neck\.lateral_convs\.(\d)\.conv\.(\w+)", r"fpn.lateral.\1.\2"),
    (r"neck\.fpn_convs\.(\d)\.conv\.(\w+)", r"fpn.output.\1.\2"),
)

_RULES: dict[Layout, tuple[Rule, ...]] = {
    "mmdetection": (
        *_OPENMMLAB,
        (r"mask_head\.cls_convs\.(.+)", r"head.category_tower.\1"),
        (r"mask_head\.kernel_convs\.(.+)", r"head.kernel_tower.\1"),
        (r"mask_head\.mask_convs\.(.+)", r"head.mask_tower.\1"),
        (r"mask_head\.mask_convs_([xy])\.(.+)", r"head.\1_tower.\2"),
        (r"mask_head\.conv_cls\.(.+)", r"head.category.\1"),
        (r"mask_head\.conv_kernel\.(.+)", r"head.kernel.\1"),
        (r"mask_head\.conv_mask_list\.(.+)", r"head.masks.\1"),
        (r"mask_head\.conv_mask_list_([xy])\.(.+)", r"head.\1_masks.\2"),
        (
            r"mask_head\.mask_feature_head\.convs_all_levels\.(\d)\.conv(\d)\.(.+)",
            r"head.mask_branch.levels.\1.<\2>.\3",
        ),
        (r"mask_head\.mask_feature_head\.conv_pred\.(.+)", r"head.mask_branch.predict.\1"),
    ),
    "wxinlong": (
        *_OPENMMLAB,
        (r"bbox_head\.cate_convs\.(.+)", r"head.category_tower.\1"),
        (r"bbox_head\.kernel_convs\.(.+)", r"head.kernel_tower.\1"),
        (r"bbox_head\.ins_convs\.(.+)", r"head.mask_tower.\1"),
        (r"bbox_head\.ins_convs_([xy])\.(.+)", r"head.\1_tower.\2"),
        (r"bbox_head\.d?solo_cate\.(.+)", r"head.category.\1"),
        (r"bbox_head\.solo_kernel\.(.+)", r"head.kernel.\1"),
        (r"bbox_head\.solo_ins_list\.(.+)", r"head.masks.\1"),
        (r"bbox_head\.dsolo_ins_list_([xy])\.(.+)", r"head.\1_masks.\2"),
        (
            r"mask_feat_head\.convs_all_levels\.(\d)\.conv(\d)\.(.+)",
            r"head.mask_branch.levels.\1.<\2>.\3",
        ),
        (r"mask_feat_head\.conv_pred\.0\.(.+)", r"head.mask_branch.predict.\1"),
    ),
    "adelaidet": (
        (r"backbone\.bottom_up\.stem\.conv1\.weight", r"backbone.conv1.weight"),
        (r"backbone\.bottom_up\.stem\.conv1\.norm\.(\w+)", r"backbone.bn1.\1"),
        (
            r"backbone\.bottom_up\.res(\d)\.(\d+)\.conv(\d)\.weight",
            r"backbone.layer[\1].\2.conv\3.weight",
        ),
        (
            r"backbone\.bottom_up\.res(\d)\.(\d+)\.conv(\d)\.norm\.(\w+)",
            r"backbone.layer[\1].\2.bn\3.\4",
        ),
        (
            r"backbone\.bottom_up\.res(\d)\.(\d+)\.shortcut\.weight",
            r"backbone.layer[\1].\2.downsample.0.weight",
        ),
        (
            r"backbone\.bottom_up\.res(\d)\.(\d+)\.shortcut\.norm\.(\w+)",
            r"backbone.layer[\1].\2.downsample.1.\3",
        ),
        (r"backbone\.fpn_lateral(\d)\.(\w+)", r"fpn.lateral.{\1}.\2"),
        (r"backbone\.fpn_output(\d)\.(\w+)", r"fpn.output.{\1}.\2"),
        (r"ins_head\.cate_tower\.(\d+)\.(\w+)", r"head.category_tower.(\1).\2"),
        (r"ins_head\.kernel_tower\.(\d+)\.(\w+)", r"head.kernel_tower.(\1).\2"),
        (r"ins_head\.cate_pred\.(\w+)", r"head.category.\1"),
        (r"ins_head\.kernel_pred\.(\w+)", r"head.kernel.\1"),
        (
            r"mask_head\.convs_all_levels\.(\d)\.conv(\d)\.0\.weight",
            r"head.mask_branch.levels.\1.<\2>.conv.weight",
        ),
        (
            r"mask_head\.convs_all_levels\.(\d)\.conv(\d)\.1\.(\w+)",
            r"head.mask_branch.levels.\1.<\2>.norm.\3",
        ),
        (r"mask_head\.conv_pred\.0\.weight", r"head.mask_branch.predict.conv.weight"),
        (r"mask_head\.conv_pred\.1\.(\w+)", r"head.mask_branch.predict.norm.\1"),
    ),
}


def layout_of(keys: Iterable[str]) -> Layout | None:
    """Detects the code base that names belong to; None where they are nobody's."""
    names = list(keys)
    if any(name.startswith(("backbone.bottom_up.", "ins_head.")) for name in names):
        return "adelaidet"
    if any(name.startswith(("bbox_head.", "mask_feat_head.")) for name in names):
        return "wxinlong"
    if any(name.startswith("mask_head.") for name in names):
        return "mmdetection"
    return None


def own_name(key: str, layout: Layout) -> str | None:
    """This project's name for a published weight, or None where it has no such weight."""
    for pattern, replacement in _RULES[layout]:
        match = re.fullmatch(pattern, key)
        if match:
            return _count(match.expand(replacement)).replace(".gn.", ".norm.")
    return None


def _count(name: str) -> str:
    """Numbers that are counted otherwise here; the rules put them in brackets of four kinds."""
    name = re.sub(r"<(\d+)>", lambda m: str(2 * int(m[1])), name)  # a block, an upsampling, ...
    name = re.sub(r"\[(\d)\]", lambda m: str(int(m[1]) - 1), name)  # res2 is layer1
    name = re.sub(r"\{(\d)\}", lambda m: str(int(m[1]) - 2), name)  # fpn_lateral2 is the first
    return re.sub(r"\((\d+)\)", _tower_part, name)


def _tower_part(match: re.Match[str]) -> str:
    block, part = divmod(int(match[1]), 3)  # convolution, norm, ReLU, convolution, ...
    return f"{block}.{('conv', 'norm', 'relu')[part]}"
