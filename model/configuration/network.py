"""The configuration of a network: its backbone, levels, heads and thresholds."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

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

_STRIDES = (4, 8, 16, 32, 64)
_MOST = 1 << 16  # of anything that is counted


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

    def __post_init__(self) -> None:
        if self.pyramid not in range(2, 7) or self.stride not in _STRIDES:
            raise ValueError(
                f"a level is of P2 to P6 at a stride in {_STRIDES}, "
                f"not of P{self.pyramid} at {self.stride}"
            )
        _check_whole("num_grid", self.num_grid)
        low, high = self.scale_range
        if not 0 <= low <= high:
            raise ValueError(f"a scale range runs from small to large, not from {low} to {high}")


@dataclass(frozen=True)
class ModelConfig:
    """Configuration of a SOLO network. Sizes are (height, width) in pixels.

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
        candidate_threshold: candidates need a higher category score. What a model shows by itself
            is its manifest's `score_threshold`, which is no lower.
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
    candidate_threshold: float = 0.1
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
        if len(self.canvas_size) != 2 or any(side % 32 or side < 32 for side in self.canvas_size):
            nearest = tuple(max(32, round(side / 32) * 32) for side in self.canvas_size[:2])
            raise ValueError(
                f"canvas_size must be two multiples of 32, not {self.canvas_size}: "
                f"{nearest} is the nearest"
            )
        if len(self.class_names) != len(self.category_ids) or not self.class_names:
            raise ValueError("class_names and category_ids must run in parallel")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in get_args(choices):
                raise ValueError(f"{name} must be one of {get_args(choices)}")
        for name in _COUNTS:
            _check_whole(name, getattr(self, name))
        for name, (low, high) in _RANGES.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must lie in {low} to {high}, not {getattr(self, name)}")
        widths = [self.head_channels]
        widths += [self.mask_branch_channels] * (self.variant == "solov2")
        if self.norm == "group" and any(width % NORM_GROUPS for width in widths):
            raise ValueError(
                f"with norm 'group' the widths of the head must be multiples of "
                f"{NORM_GROUPS}, not {', '.join(map(str, widths))}"
            )
        if self.min_area is not None and not 0 <= self.min_area < math.inf:
            raise ValueError(f"min_area must be 0 or more, not {self.min_area}")
        self._check_levels()

    def _check_levels(self) -> None:
        if not self.levels:
            raise ValueError("a network needs a level or more")
        for level in self.levels if self.variant != "solov2" else ():
            if any(side % level.stride for side in self.canvas_size):
                raise ValueError(
                    f"the masks of {self.variant} are at the stride of their level: "
                    f"{level.stride} does not divide {self.canvas_size}"
                )

    @property
    def num_classes(self) -> int:
        """Categories, background not counted."""
        return len(self.class_names)

    def to_dict(self) -> dict[str, Any]:
        """Plain values only, so that a checkpoint loads with `weights_only=True`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """The inverse of `to_dict`, also after a round through JSON, and of earlier names."""
        values = {_RENAMED.get(key, key): value for key, value in values.items()}
        levels = tuple(
            Level(**{**level, "scale_range": tuple(level["scale_range"])})
            for level in values["levels"]
        )
        sequences = {
            key: tuple(values[key]) for key in ("class_names", "category_ids", "canvas_size")
        }
        return cls(**{**values, **sequences, "levels": levels})


_CHOICES: dict[str, Any] = {
    "backbone": BackboneName,
    "variant": VariantName,
    "norm": NormName,
    "shared_cells": SharedCellRule,
    "mask_targets": MaskTargetName,
    "mask_loss": MaskLossName,
    "nms_kernel": NmsKernel,
}
NORM_GROUPS = 32  # as in the paper
_RENAMED = {"score_threshold": "candidate_threshold"}  # so that old checkpoints load
_COUNTS = (
    "fpn_channels",
    "head_channels",
    "stacked_convs",
    "mask_branch_channels",
    "mask_channels",
    "max_candidates",
    "max_instances",
)
_RANGES = {
    "sigma": (0.0, math.inf),
    "candidate_threshold": (0.0, 1.0),
    "mask_threshold": (0.0, 1.0),
    "nms_sigma": (0.0, math.inf),
    "nms_threshold": (0.0, 1.0),
    "max_overlap": (0.0, math.inf),
}


def _check_whole(name: str, value: object) -> None:
    if type(value) is not int or not 1 <= value <= _MOST:
        raise ValueError(f"{name} must be a whole number from 1 to {_MOST}, not {value!r}")
