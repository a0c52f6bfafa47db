"""Pairwise mask intersections: exact pixel counts, three ways.

A matrix product multiplies every pixel of every mask; it is what graphs and GPUs are good at. Where
that is much work, a product of numbers that hold two masks each leaves 3/8 of it.

On a CPU, outside of a graph, most of it is saved by cutting masks into 8 x 8 blocks, each of which
is one 64-bit word. Where one of two masks fills a block, the other's area in it is what they share;
a product over blocks counts that. Only along a mask's edge are words compared bit by bit.
"""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

_SIDE = 8
_FULL = 64
# Multiply-adds of a product that takes about as long as the detour through blocks.
_WORTH_PACKING = 1 << 28
# One mask's pixels count as 1 and the other's as this, for which TF32's 11 bits suffice.
_RADIX = 1 << 10
_FEW = 128  # masks whose product is too small to be halved


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
    if count * count * pixels <= _WORTH_PACKING:
        shared = _product(masks.flatten(2))
    elif masks.device.type == "cpu" and not torch.compiler.is_exporting():
        images = zip(masks.numpy(), groups.numpy(), strict=True)
        shared = torch.from_numpy(np.stack([packed_overlaps(*image) for image in images]))
    else:
        shared = paired_overlaps(masks)
    return shared.flatten(1)[:, :: count + 1], shared


def _product(flat: Tensor) -> Tensor:
    counts = flat.to(torch.float32)
    return counts @ counts.transpose(-1, -2)


def paired_overlaps(masks: Tensor) -> Tensor:
    """Pixels that masks share, bool [N, K, h, w] to float32 [N, K, K], with two masks in a number.

    Pixels are cut into parts so small that the counts of a part stay below the radix.
    """
    pixels = masks.shape[2] * masks.shape[3]
    parts = next(n for n in itertools.count(1) if not pixels % n and pixels // n < _RADIX)
    return _paired(masks.flatten(2).unflatten(2, (parts, pixels // parts)).transpose(1, 2))


def _paired(masks: Tensor) -> Tensor:
    """Masks [N, parts, K, pixels]; what the second half shares with itself is halved again."""
    count = masks.shape[2]
    if count % 2 or count < _FEW:
        return _product(masks).sum(1)
    first, second = masks.chunk(2, dim=2)
    ones = first.to(torch.float32)
    both = (second.to(torch.float32) * _RADIX + ones) @ ones.transpose(2, 3)
    high = (both * (1 / _RADIX)).floor()
    low = both - high * _RADIX
    within, across = low.sum(1), high.sum(1)
    top = torch.cat([within, across.transpose(1, 2)], dim=2)
    return torch.cat([top, torch.cat([across, _paired(second)], dim=2)], dim=1)


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
