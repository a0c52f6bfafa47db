"""What a network is and how it is trained: frozen dataclasses, and the named presets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

VariantName = Literal["solo", "decoupled_solo", "decoupled_solo_light", "solov2"]
BackboneName = Literal[
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet50_caffe",
    "resnet101_caffe",
    "efficientnet_lite0",
    "convnext_tiny",
]
NormName = Literal["group", "batch"]
MaskLossName = Literal["dice", "focal", "bce"]
MaskTargetName = Literal["coverage", "binary"]
SharedCellRule = Literal["all", "latest", "smallest"]
NmsKernel = Literal["gaussian", "linear"]
OptimizerName = Literal["adamw", "sgd"]
PrecisionName = Literal["float32", "bfloat16", "float16"]


@dataclass(frozen=True)
class Level:
    """One level of the head: an FPN map, the grid laid over it, and the objects it is for.

    Attributes:
        pyramid: which FPN map, 2 for P2 (stride 4) to 6 for P6 (stride 64).
        stride: canvas pixels a cell of the map that the head sees; where it is not that of the FPN
            map, the map is resized to the one that has this stride.
        num_grid: cells along each side of the canvas.
        scale_range: smallest and largest sqrt(box area) in canvas pixels, both included.
    """

    pyramid: int
    stride: int
    num_grid: int
    scale_range: tuple[float, float]


@dataclass(frozen=True)
class ModelConfig:
    """A SOLO network. Sizes are (height, width) in pixels.

    docs/deviations.md gives the reasons for fields that depart from the reference implementations.

    Attributes:
        class_names: one name a category; the network's labels index it.
        category_ids: the data set's own id of each class.
        backbone: C2..C5 come from here.
        canvas_size: what images are letterboxed to; multiples of 32.
        levels: the head's levels, finest first.
        fpn_channels: width of P2..P6.
        head_channels: width of the towers.
        stacked_convs: blocks in each tower.
        variant: which head.
        mask_branch_channels: SOLOv2's width inside the unified mask-feature branch.
        mask_channels: SOLOv2's E, channels of the mask features, and D, length of a 1 x 1 kernel.
        norm: in the head's blocks; "group" with 32 groups as in the paper, or "batch", which folds
            into the convolutions at export.
        sigma: the part of an object's box around its centre of mass that is positive.
        shared_cells: what a cell that several objects claim is taught: "all" their masks with the
            last one's label (SOLOv2's reference), the "latest" object (SOLO's), or the "smallest".
        mask_targets: the covered part of a pixel, or the reference's "binary" reduction.
        mask_loss: dice, or binary cross-entropy or focal loss of every pixel.
        score_threshold: candidates need a higher category score.
        mask_threshold: a pixel is in the mask above this probability.
        max_candidates: how many candidates get a mask, best category score first.
        max_instances: K, instances in an answer.
        min_area: canvas pixels that an instance must have; None is the reference's rule, more
            stride-4 pixels than the level's stride.
        nms_kernel: decay function of Matrix NMS.
        nms_sigma: the Gaussian kernel's sigma; the paper's formula divides by its own, which is 1
            over this one.
        nms_threshold: instances below this score after the decay are dropped.
        nms_across_classes: whether instances of different classes suppress each other.
        max_overlap: instances that overlap a better one by a higher IoU are dropped, whatever score
            the decay left them; 1 drops none.
    """

    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    backbone: BackboneName
    canvas_size: tuple[int, int]
    levels: tuple[Level, ...]
    fpn_channels: int
    head_channels: int
    stacked_convs: int
    variant: VariantName = "solov2"
    mask_branch_channels: int = 128
    mask_channels: int = 128
    norm: NormName = "group"
    sigma: float = 0.2
    shared_cells: SharedCellRule = "all"
    mask_targets: MaskTargetName = "coverage"
    mask_loss: MaskLossName = "dice"
    score_threshold: float = 0.1
    mask_threshold: float = 0.5
    max_candidates: int = 500
    max_instances: int = 100
    min_area: float | None = None
    nms_kernel: NmsKernel = "gaussian"
    nms_sigma: float = 2.0
    nms_threshold: float = 0.05
    nms_across_classes: bool = False
    max_overlap: float = 1.0

    def __post_init__(self) -> None:
        if any(side % 32 or side < 32 for side in self.canvas_size):
            raise ValueError(f"canvas_size must be multiples of 32, not {self.canvas_size}")
        if len(self.class_names) != len(self.category_ids) or not self.class_names:
            raise ValueError("class_names and category_ids must run in parallel")

    @property
    def num_classes(self) -> int:
        """Categories, background not counted."""
        return len(self.class_names)

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, so that a checkpoint loads with `weights_only=True`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """The inverse of `to_dict`, also after a round through JSON."""
        levels = tuple(
            Level(**{**level, "scale_range": tuple(level["scale_range"])})
            for level in values["levels"]
        )
        sequences = {
            key: tuple(values[key]) for key in ("class_names", "category_ids", "canvas_size")
        }
        return cls(**{**values, **sequences, "levels": levels})


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained.

    Attributes:
        iterations: optimiser steps.
        batch_size: images a step.
        learning_rate: peak rate of all that starts from random numbers.
        backbone_learning_rate: peak rate of the pretrained backbone.
        weight_decay: none on norms and biases.
        warmup_iterations: linear rise to the peak rate.
        clip_norm: largest norm of the gradient.
        ema_decay: of the average of the weights that is evaluated and exported.
        optimizer: "adamw", or the papers' "sgd" with momentum 0.9.
        milestones: parts of the run, in (0, 1), after each of which the rate falls to a tenth;
            without any it falls in a cosine to 1 %.
        frozen_batch_norm: keep the backbone's running statistics, as the papers do with ImageNet's.
        precision: of the network's arithmetic in training; losses are always in float32.
    """

    iterations: int
    batch_size: int = 8
    learning_rate: float = 2e-3
    backbone_learning_rate: float = 1e-3
    weight_decay: float = 0.02
    warmup_iterations: int = 100
    clip_norm: float = 10.0
    ema_decay: float = 0.998
    optimizer: OptimizerName = "adamw"
    milestones: tuple[float, ...] = ()
    frozen_batch_norm: bool = False
    precision: PrecisionName = "float32"


@dataclass(frozen=True)
class Preset:
    """A named network and its recipe."""

    model: ModelConfig
    train: TrainConfig


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
