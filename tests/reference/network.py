"""FPN and SOLOv2 head in NumPy, from weights under mmdetection's names.

Source: FPN (CVPR 2017), section 3; SOLOv2 (NeurIPS 2020), section 3.1. All in float64; features are
[N, C, H, W].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float64]
Weights = Mapping[str, npt.NDArray[np.floating]]
GROUPS = 32


@dataclass(frozen=True)
class HeadOutputs:
    """Raw outputs of the SOLOv2 head.

    Attributes:
        categories: float64 [N, C, G, G] logits per level.
        kernels: float64 [N, E, G, G] per level.
        mask_features: float64 [N, E, H/4, W/4].
    """

    categories: list[Float]
    kernels: list[Float]
    mask_features: Float


def conv(x: Float, weights: Weights, name: str) -> Float:
    """1x1 or 3x3 convolution that keeps the size; the bias is optional."""
    weight = weights[f"{name}.weight"].astype(np.float64)
    side = weight.shape[-1]
    padded = np.pad(x, ((0, 0), (0, 0), *((side // 2, side // 2),) * 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(2, 3))
    result = np.tensordot(windows, weight, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)
    if f"{name}.bias" in weights:
        result += weights[f"{name}.bias"][:, None, None]
    return result


def group_norm(x: Float, weights: Weights, name: str) -> Float:
    """Group normalisation with 32 groups."""
    groups = x.reshape(len(x), GROUPS, -1)
    centred = groups - groups.mean(axis=2, keepdims=True)
    normal: Float = centred / np.sqrt(groups.var(axis=2, keepdims=True) + 1e-5)
    scale, shift = (weights[f"{name}.{part}"][:, None, None] for part in ("weight", "bias"))
    return np.asarray(normal.reshape(x.shape) * scale + shift, np.float64)


def block(x: Float, weights: Weights, name: str) -> Float:
    """Convolution, group normalisation, ReLU."""
    return np.maximum(group_norm(conv(x, weights, f"{name}.conv"), weights, f"{name}.gn"), 0)


def tower(x: Float, weights: Weights, name: str) -> Float:
    """As many blocks as there are weights for."""
    depth = 0
    while f"{name}.{depth}.conv.weight" in weights:
        x = block(x, weights, f"{name}.{depth}")
        depth += 1
    return x


def resize(x: npt.NDArray[np.floating], size: tuple[int, int]) -> Float:
    """Bilinear resize of the last two dimensions to (height, width), pixel centres aligned."""
    rows, columns = (_taps(n, m) for n, m in zip(x.shape[-2:], size, strict=True))
    return rows @ x.astype(np.float64) @ columns.T


def _taps(source: int, target: int) -> Float:
    taps = np.zeros((target, source))
    for index in range(target):
        position = max((index + 0.5) * source / target - 0.5, 0.0)
        low = int(position)
        high = min(low + 1, source - 1)
        taps[index, low] += 1 - (position - low)
        taps[index, high] += position - low
    return taps


def double(x: Float) -> Float:
    """Bilinear upsampling by two."""
    return resize(x, (2 * x.shape[-2], 2 * x.shape[-1]))


def with_coordinates(x: Float) -> Float:
    """Appends x and then y, each from -1 to 1 over the whole of its side."""
    count, _, height, width = x.shape
    columns = np.broadcast_to(np.linspace(-1, 1, width), (count, 1, height, width))
    rows = np.broadcast_to(np.linspace(-1, 1, height)[:, None], (count, 1, height, width))
    return np.concatenate([x, columns, rows], axis=1)


def fpn(features: Sequence[npt.NDArray[np.floating]], weights: Weights) -> list[Float]:
    """C2..C5 to P2..P6."""
    merged = [
        conv(feature.astype(np.float64), weights, f"lateral_convs.{level}.conv")
        for level, feature in enumerate(features)
    ]
    for level in range(len(merged) - 1, 0, -1):
        merged[level - 1] += merged[level].repeat(2, axis=2).repeat(2, axis=3)
    pyramid = [conv(x, weights, f"fpn_convs.{level}.conv") for level, x in enumerate(merged)]
    return [*pyramid, pyramid[-1][:, :, ::2, ::2]]


def solov2_head(
    pyramid: Sequence[npt.NDArray[np.floating]], weights: Weights, num_grids: Sequence[int]
) -> HeadOutputs:
    """Runs the head on P2..P6."""
    categories, kernels = [], []
    for feature, grid in zip(aligned(pyramid), num_grids, strict=True):
        cells = resize(with_coordinates(feature), (grid, grid))
        kernels.append(conv(tower(cells, weights, "kernel_convs"), weights, "conv_kernel"))
        categories.append(conv(tower(cells[:, :-2], weights, "cls_convs"), weights, "conv_cls"))
    finest_four = [feature.astype(np.float64) for feature in pyramid[:4]]
    return HeadOutputs(categories, kernels, mask_branch(finest_four, weights))


def aligned(pyramid: Sequence[npt.NDArray[np.floating]]) -> list[Float]:
    """P2..P6 at strides 8, 8, 16, 32 and 32, as the heads see them."""
    p2, p3, p4, p5, p6 = (feature.astype(np.float64) for feature in pyramid)
    halved = resize(p2, (p2.shape[2] // 2, p2.shape[3] // 2))
    return [halved, p3, p4, p5, resize(p6, (p5.shape[2], p5.shape[3]))]


def mask_branch(pyramid: Sequence[Float], weights: Weights) -> Float:
    """The unified mask features of P2..P5."""
    name = "mask_feature_head"
    total = block(pyramid[0], weights, f"{name}.convs_all_levels.0.conv0")
    for level in range(1, 4):
        x = with_coordinates(pyramid[3]) if level == 3 else pyramid[level]
        for step in range(level):
            x = double(block(x, weights, f"{name}.convs_all_levels.{level}.conv{step}"))
        total += x
    return block(total, weights, f"{name}.conv_pred")
