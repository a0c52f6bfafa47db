"""SOLO and Decoupled SOLO heads in NumPy, from weights under mmdetection's names.

Source: SOLO (ECCV 2020), sections 3.1 to 3.4. All in float64; features are [N, C, H, W].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tests.reference.losses import sigmoid
from tests.reference.network import (
    Float,
    Weights,
    aligned,
    conv,
    double,
    resize,
    tower,
    with_coordinates,
)


@dataclass(frozen=True)
class SOLOOutputs:
    """Raw outputs of the SOLO head.

    Attributes:
        categories: float64 [N, C, G, G] logits per level.
        masks: float64 [N, G * G, h, w] logits per level, at half the level's stride.
    """

    categories: list[Float]
    masks: list[Float]

    def mask(self, image: int, level: int, cell: int) -> Float:
        """Probabilities of a cell's mask, at half its level's stride."""
        return sigmoid(self.masks[level][image, cell])

    def inference_mask(self, image: int, level: int, cell: int, size: tuple[int, int]) -> Float:
        """The same at stride 4."""
        return resize(self.mask(image, level, cell), size)


@dataclass(frozen=True)
class DecoupledOutputs:
    """Raw outputs of the Decoupled SOLO head.

    Attributes:
        categories: float64 [N, C, G, G] logits per level.
        columns: float64 [N, G, h, w] logits per level, at half the level's stride.
        rows: the same.
    """

    categories: list[Float]
    columns: list[Float]
    rows: list[Float]

    def _factors(self, image: int, level: int, cell: int) -> tuple[Float, Float]:
        row, column = divmod(cell, self.rows[level].shape[1])
        return sigmoid(self.rows[level][image, row]), sigmoid(self.columns[level][image, column])

    def mask(self, image: int, level: int, cell: int) -> Float:
        """Probabilities of a cell's mask, at half its level's stride."""
        by_row, by_column = self._factors(image, level, cell)
        return by_row * by_column

    def inference_mask(self, image: int, level: int, cell: int, size: tuple[int, int]) -> Float:
        """The same at stride 4; the factors are resized, not their product."""
        by_row, by_column = self._factors(image, level, cell)
        return resize(by_row, size) * resize(by_column, size)


def solo_head(
    pyramid: Sequence[npt.NDArray[np.floating]], weights: Weights, num_grids: Sequence[int]
) -> SOLOOutputs:
    """Runs the head on P2..P6."""
    masks = [
        conv(
            double(tower(with_coordinates(feature), weights, "mask_convs")),
            weights,
            f"conv_mask_list.{level}",
        )
        for level, feature in enumerate(aligned(pyramid))
    ]
    return SOLOOutputs(_categories(pyramid, weights, num_grids), masks)


def decoupled_head(
    pyramid: Sequence[npt.NDArray[np.floating]], weights: Weights, num_grids: Sequence[int]
) -> DecoupledOutputs:
    """Runs the head on P2..P6; the light one where the weights have a single mask tower."""
    light = "mask_convs.0.conv.weight" in weights
    columns: list[Float] = []
    rows: list[Float] = []
    for level, feature in enumerate(aligned(pyramid)):
        located = with_coordinates(feature)
        width = feature.shape[1]
        for axis, maps in enumerate((columns, rows)):
            name = "xy"[axis]
            seen = located if light else located[:, [*range(width), width + axis]]
            features = tower(seen, weights, "mask_convs" if light else f"mask_convs_{name}")
            maps.append(conv(double(features), weights, f"conv_mask_list_{name}.{level}"))
    return DecoupledOutputs(_categories(pyramid, weights, num_grids), columns, rows)


def _categories(
    pyramid: Sequence[npt.NDArray[np.floating]], weights: Weights, num_grids: Sequence[int]
) -> list[Float]:
    grids = zip(aligned(pyramid), num_grids, strict=True)
    return [
        conv(tower(resize(feature, (grid, grid)), weights, "cls_convs"), weights, "conv_cls")
        for feature, grid in grids
    ]
