"""Objects and head outputs drawn at random, for comparisons with the oracles."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional as F

from model.configuration.network import VariantName
from model.data.objects import Objects
from model.network.decoupled_solo_head import DecoupledSOLOOutputs
from model.network.heads import HeadOutputs
from model.network.solo_head import SOLOOutputs
from model.network.solov2_head import SOLOv2Outputs
from tests.reference import network, solo_network
from tests.reference.losses import MaskOf
from tests.support.small_network import NUM_GRIDS, STRIDES


def objects(rng: np.random.Generator, count: int, size: tuple[int, int]) -> Objects:
    """Rectangles and ellipses, some of one pixel, some over all, some cut, some without a mask.

    A third of them repeat the box of the one before, so that objects share cells.
    """
    height, width = size
    masks = np.zeros((count, height, width), np.uint8)
    boxes = np.zeros((count, 4), np.float32)
    rows, columns = np.mgrid[:height, :width] + 0.5
    for index in range(count):
        extent = np.exp(rng.uniform(0, np.log(size)))
        corner = rng.integers(0, np.array(size) - extent.astype(int) + 1)
        boxes[index, :2] = corner[::-1]
        boxes[index, 2:] = np.minimum(corner + np.ceil(extent).astype(int), size)[::-1]
        if index and rng.random() < 1 / 3:
            boxes[index] = boxes[index - 1]
        left, top, right, bottom = boxes[index]
        x = (columns - (left + right) / 2) / ((right - left) / 2)
        y = (rows - (top + bottom) / 2) / ((bottom - top) / 2)
        inside = np.maximum(abs(x), abs(y)) < 1 if rng.random() < 0.5 else x**2 + y**2 < 1
        if rng.random() < 0.2:
            inside &= x > 0.3  # the centre of mass leaves the box's centre
        masks[index] = inside if rng.random() < 0.9 else 0
    labels = rng.integers(0, 3, count)
    return Objects(torch.tensor(masks * np.uint8(255)), torch.tensor(boxes), torch.tensor(labels))


def outputs(
    rng: np.random.Generator, size: tuple[int, int] = (128, 160), images: int = 2
) -> SOLOv2Outputs:
    """Head outputs with blobs for masks; about one pair in ten is a candidate."""

    def normal(*shape: int, mean: float = 0.0, spread: float = 1.0) -> torch.Tensor:
        return torch.tensor(rng.normal(mean, spread, shape), dtype=torch.float32)

    coarse = normal(images, 8, size[0] // 32, size[1] // 32)
    return SOLOv2Outputs(
        [normal(images, 3, grid, grid, mean=-3, spread=1.2) for grid in NUM_GRIDS],
        [normal(images, 8, grid, grid) for grid in NUM_GRIDS],
        F.interpolate(coarse, scale_factor=8.0, mode="bilinear").relu(),
    )


def solo_outputs(
    rng: np.random.Generator, variant: VariantName, images: int
) -> tuple[HeadOutputs, MaskOf]:
    """Outputs of a SOLO or Decoupled SOLO head for 128 x 160 pixels, and the oracle's masks."""

    def normal(*shape: int, mean: float = 0.0) -> torch.Tensor:
        return torch.tensor(rng.normal(mean, 1.5, shape), dtype=torch.float32)

    logits = [normal(images, 3, grid, grid, mean=-3) for grid in NUM_GRIDS]
    places = [
        (grid, 128 // stride, 160 // stride)
        for grid, stride in zip(NUM_GRIDS, STRIDES, strict=True)
    ]
    if variant == "solo":
        features = [normal(images, 8, height, width) for _, height, width in places]
        weights = [normal(grid**2, 8) / 3 for grid in NUM_GRIDS]
        biases = [normal(grid**2) for grid in NUM_GRIDS]
        masks = [
            np.einsum("kd,ndhw->nkhw", w.numpy(), network.double(f.numpy()))
            + b.numpy()[:, None, None]
            for f, w, b in zip(features, weights, biases, strict=True)
        ]
        raw = SOLOOutputs(logits, features, weights, biases, (32, 40))
        return raw, solo_network.SOLOOutputs([], masks).mask
    columns = [normal(images, grid, 2 * height, 2 * width) for grid, height, width in places]
    rows = [normal(images, grid, 2 * height, 2 * width) for grid, height, width in places]
    oracle = solo_network.DecoupledOutputs(
        [], [map_.numpy() for map_ in columns], [map_.numpy() for map_ in rows]
    )
    return DecoupledSOLOOutputs(logits, columns, rows, (32, 40)), oracle.mask
