"""Pairwise mask intersections: exact pixel counts, two ways.

A matrix product multiplies every pixel of every mask; it is what graphs and GPUs are good at. On a
CPU most of that work is saved by cutting masks into 8 x 8 blocks, each of which is one 64-bit word.
Where one of two masks fills a block, the other's area in it is what they share; a product over
blocks counts that. Only along a mask's edge are words compared bit by bit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from model.network.onnx_operators import as_float

_SIDE = 8
_FULL = 64
# Multiply-adds of a product that takes about as long as the detour through blocks.
_WORTH_PACKING = 1 << 28
_FEW = 200  # masks whose product is not worth halving


def mask_overlaps(masks: Tensor, groups: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels of every mask, and pixels that two masks share.

    Args:
        masks: bool [N, K, h, w].
        groups: int64 [N, K]; pairs of different groups need not be counted, nor anything of
            negative ones.

    Returns:
        float32 [N, K] and [N, K, K], whole numbers.
    """
    count, pixels = masks.shape[1], masks.shape[2] * masks.shape[3]
    on_cpu = masks.device.type == "cpu" and not torch.compiler.is_exporting()
    if on_cpu and len(masks) and count * count * pixels > _WORTH_PACKING:
        images = zip(masks.numpy(), groups.numpy(), strict=True)
        shared = torch.from_numpy(np.stack([packed_overlaps(*image) for image in images]))
    else:
        shared = multiplied_overlaps(masks.flatten(2))
    return shared.flatten(1)[:, :: count + 1], shared


def multiplied_overlaps(masks: Tensor) -> Tensor:
    """The same for bool [N, K, pixels], by products; 3/4 of one where there are many masks."""
    if masks.shape[1] < _FEW:
        return _product(masks, masks)
    first, second = masks.chunk(2, dim=1)
    across = _product(second, first)
    above = torch.cat([_product(first, first), across.transpose(1, 2)], dim=2)
    return torch.cat([above, torch.cat([across, _product(second, second)], dim=2)], dim=1)


def _product(masks: Tensor, others: Tensor) -> Tensor:
    if not torch.compiler.is_exporting():
        return masks.to(torch.float32) @ others.to(torch.float32).transpose(1, 2)
    # uint8 by int8 is what processors have instructions for.
    return as_float(masks.to(torch.uint8)) @ as_float(others.to(torch.int8).transpose(1, 2))


def packed_overlaps(
    masks: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """The same for one image, bool [K, h, w] and int64 [K], by blocks; 0 across groups."""
    words = _block_words(masks)
    overlaps = np.zeros((len(masks), len(masks)), np.float32)
    for group in np.unique(groups[groups >= 0]):
        members = np.flatnonzero(groups == group)
        first, last = _column_range(masks[members])
        order = np.argsort(first)
        ends = np.searchsorted(first[order], last[order], side="right")
        members = members[order]
        overlaps[members[:, None], members] = _overlaps_in_group(words[:, members], ends)
    return overlaps


def _block_words(masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Masks [K, h, w] as [blocks, K], a word a block of 8 x 8 pixels."""
    count, height, width = masks.shape
    below, beside = -height % _SIDE, -width % _SIDE
    if below or beside:
        masks = np.pad(masks, ((0, 0), (0, below), (0, beside)))
    rows = np.packbits(masks, axis=2)
    down, across = rows.shape[1] // _SIDE, rows.shape[2]
    blocks = rows.reshape(count, down, _SIDE, across).transpose(1, 3, 0, 2)
    return np.ascontiguousarray(blocks).view(np.uint64).reshape(down * across, count)


def _column_range(masks: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], ...]:
    """The first and the last column that each mask has a pixel in, 0 and -1 where it has none."""
    columns: npt.NDArray[np.bool_] = np.logical_or.reduce(masks, axis=1)
    first, behind = columns.argmax(1), columns.shape[1] - columns[:, ::-1].argmax(1)
    return first, np.where(np.logical_or.reduce(columns, axis=1), behind, 0) - 1


def _overlaps_in_group(
    words: npt.NDArray[np.uint64], ends: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Overlaps of masks [blocks, K], of which mask i can share pixels with those before end i."""
    areas = np.bitwise_count(words)
    full = torch.from_numpy(areas == _FULL).to(torch.float32)
    shared = (full.T @ torch.from_numpy(areas).to(torch.float32)).numpy()
    partial = np.ascontiguousarray(((areas > 0) & (areas < _FULL)).T)
    for mask, (blocks, end) in enumerate(zip(partial, ends, strict=True)):
        edge = np.flatnonzero(blocks)
        # Later masks only: what two masks share is the same seen from either.
        both = words[edge, mask:end] & words[edge, mask, None]
        shared[mask, mask:end] += np.bitwise_count(both).sum(0, dtype=np.uint32)
    upper = np.triu(shared)
    return np.asarray(upper + np.triu(shared, 1).T, np.float32)
