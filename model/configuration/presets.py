"""Presets: named networks with their recipes, each a function of the data set's classes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from model.configuration.network import BackboneName, Level, ModelConfig, VariantName
from model.configuration.recipe import Preset, TrainConfig

Categories = tuple[tuple[str, ...], tuple[int, ...]]


def cxr_lungs(categories: Categories) -> Preset:
    """Few large objects, fast on a CPU: one head level, narrow branches (docs/adr/0004-*.md)."""
    class_names, category_ids = categories
    model = ModelConfig(
        class_names=class_names,
        category_ids=category_ids,
        backbone="efficientnet_lite0",
        canvas_size=(256, 256),
        levels=(Level(pyramid=4, stride=16, num_grid=16, scale_range=(1, 2048)),),
        fpn_channels=32,
        head_channels=64,
        stacked_convs=2,
        mask_branch_channels=32,
        mask_channels=32,
        norm="batch",
        max_candidates=100,
    )
    return Preset(model, TrainConfig(iterations=2000))


def crowded(categories: Categories) -> Preset:
    """Many small objects side by side, on two cores: one fine grid, masks of a larger canvas.

    The doctor finds that masks at a quarter of a canvas of 256 hold the solids of the crowded scene
    with an AP of 0.61 at most, and with 0.84 at 384. Cells of 8 pixels are theirs alone.
    """
    class_names, category_ids = categories
    model = ModelConfig(
        class_names=class_names,
        category_ids=category_ids,
        backbone="efficientnet_lite0",
        canvas_size=(384, 384),
        levels=(Level(pyramid=3, stride=8, num_grid=48, scale_range=(1, 2048)),),
        fpn_channels=64,
        head_channels=64,
        stacked_convs=2,
        mask_branch_channels=48,
        mask_channels=48,
        norm="batch",
        shared_cells="smallest",
        min_area=16,
    )
    return Preset(model, TrainConfig(iterations=900, batch_size=4, ema_decay=0.99))


def thorax_anatomy(categories: Categories) -> Preset:
    """Some forty bones and organs of a chest through each other: small ones, then large ones.

    A fine grid tells ribs and vertebrae apart; what lies in the midline, heart, aorta and sternum,
    shares their cells and so has a level of its own.
    """
    class_names, category_ids = categories
    model = ModelConfig(
        class_names=class_names,
        category_ids=category_ids,
        backbone="efficientnet_lite0",
        canvas_size=(384, 384),
        levels=(
            Level(pyramid=3, stride=8, num_grid=48, scale_range=(1, 128)),
            Level(pyramid=4, stride=16, num_grid=24, scale_range=(96, 2048)),
        ),
        fpn_channels=64,
        head_channels=64,
        stacked_convs=2,
        mask_branch_channels=64,
        mask_channels=64,
        norm="batch",
        shared_cells="smallest",
        min_area=16,
    )
    return Preset(model, TrainConfig(iterations=3000, batch_size=4))


_Ranges = tuple[tuple[float, float], ...]
# The papers' sizes at a short side of 800, of light SOLOv2 (448) and light Decoupled SOLO (512).
_STANDARD: _Ranges = ((1, 96), (48, 192), (96, 384), (192, 768), (384, 2048))
_LIGHT_448: _Ranges = ((1, 56), (28, 112), (56, 224), (112, 448), (224, 896))
_LIGHT_512: _Ranges = ((1, 64), (32, 128), (64, 256), (128, 512), (256, 2048))
# The papers' passes over COCO, with this project's optimiser.
_ONCE = TrainConfig(90_000, batch_size=16, learning_rate=1e-4, warmup_iterations=500, clip_norm=35)
_THRICE = replace(_ONCE, iterations=270_000)


def _paper(
    categories: Categories,
    backbone: BackboneName,
    variant: VariantName,
    scale_ranges: _Ranges,
    changes: dict[str, Any],
) -> ModelConfig:
    """The papers' five levels on 256 channels, on a square canvas."""
    class_names, category_ids = categories
    places = ((2, 8, 40), (3, 8, 36), (4, 16, 24), (5, 32, 16), (6, 32, 12))
    network = ModelConfig(
        class_names=class_names,
        category_ids=category_ids,
        backbone=backbone,
        canvas_size=(1024, 1024),
        levels=tuple(Level(*p, bounds) for p, bounds in zip(places, scale_ranges, strict=True)),
        fpn_channels=256,
        head_channels=256,
        stacked_convs=7,
        variant=variant,
        shared_cells="all" if variant == "solov2" else "latest",
    )
    return replace(network, **changes)


def solo_r50(categories: Categories) -> Preset:
    """SOLO on ResNet-50 (arXiv 1912.04488, section 4)."""
    return Preset(_paper(categories, "resnet50", "solo", _STANDARD, {}), _ONCE)


def decoupled_solo_r50(categories: Categories) -> Preset:
    """Decoupled SOLO on ResNet-50 (section 3.4)."""
    return Preset(_paper(categories, "resnet50", "decoupled_solo", _STANDARD, {}), _ONCE)


def decoupled_solo_light_r50(categories: Categories) -> Preset:
    """The light Decoupled SOLO on ResNet-50: one mask tower, four blocks, a smaller canvas."""
    small = {"canvas_size": (512, 512), "stacked_convs": 4}
    model = _paper(categories, "resnet50", "decoupled_solo_light", _LIGHT_512, small)
    return Preset(model, _THRICE)


def _solov2_light(categories: Categories, backbone: BackboneName) -> Preset:
    small = {"canvas_size": (512, 512), "stacked_convs": 2}
    model = _paper(categories, backbone, "solov2", _LIGHT_448, small)
    return Preset(model, TrainConfig(iterations=20_000, learning_rate=5e-4))


def solov2_light_r18(categories: Categories) -> Preset:
    """SOLOv2 light on ResNet-18 (arXiv 2003.10152, section 4.2)."""
    return _solov2_light(categories, "resnet18")


def solov2_light_r34(categories: Categories) -> Preset:
    """SOLOv2 light on ResNet-34."""
    return _solov2_light(categories, "resnet34")


def solov2_light_r50(categories: Categories) -> Preset:
    """SOLOv2 light on ResNet-50."""
    return _solov2_light(categories, "resnet50")


def _solov2(categories: Categories, backbone: BackboneName) -> ModelConfig:
    wide = {"head_channels": 512, "stacked_convs": 4, "mask_channels": 256}
    return _paper(categories, backbone, "solov2", _STANDARD, wide)


def solov2_r50(categories: Categories) -> Preset:
    """The full SOLOv2 of the paper on ResNet-50, on a square canvas."""
    return Preset(_solov2(categories, "resnet50"), _ONCE)


def solov2_r101(categories: Categories) -> Preset:
    """The full SOLOv2 on ResNet-101, three times as long."""
    return Preset(_solov2(categories, "resnet101"), _THRICE)


def solov2_convnext_tiny(categories: Categories) -> Preset:
    """The full SOLOv2 on ConvNeXt-Tiny, of ResNet-50's size and more recent."""
    return Preset(_solov2(categories, "convnext_tiny"), _ONCE)


PRESETS: dict[str, Callable[[Categories], Preset]] = {
    "cxr-lungs": cxr_lungs,
    "crowded": crowded,
    "thorax-anatomy": thorax_anatomy,
    "solo-r50": solo_r50,
    "decoupled-solo-r50": decoupled_solo_r50,
    "decoupled-solo-light-r50": decoupled_solo_light_r50,
    "solov2-light-r18": solov2_light_r18,
    "solov2-light-r34": solov2_light_r34,
    "solov2-light-r50": solov2_light_r50,
    "solov2-r50": solov2_r50,
    "solov2-r101": solov2_r101,
    "solov2-convnext-tiny": solov2_convnext_tiny,
}
