"""How many pixels every two masks of a film share: exact counts, two ways.

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

_SIDE = 8
_FULL = 64
# Multiply-adds of a product that takes about as long as the detour through blocks.
_WORTH_PACKING = 1 << 28


def mask_overlaps(masks: Tensor, groups: Tensor) -> Tensor:
    """Pixels that two masks share.

    Args:
        masks: bool [N, K, h, w].
        groups: int64 [N, K]; pairs of different groups, and those of negative ones, need not be
            counted.

    Returns:
        float32 [N, K, K], whole numbers, right wherever both masks are of one group.
    """
    count, pixels = masks.shape[1], masks.shape[2] * masks.shape[3]
    on_cpu = masks.device.type == "cpu" and not torch.compiler.is_exporting()
    if on_cpu and count * count * pixels > _WORTH_PACKING:
        images = zip(masks.numpy(), groups.numpy(), strict=True)
        return torch.from_numpy(np.stack([packed_overlaps(*image) for image in images]))
    flat = masks.flatten(2).to(torch.float32)
    return flat @ flat.transpose(1, 2)


def packed_overlaps(
    masks: npt.NDArray[np.bool_], groups: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """The same for one image, bool [K, h, w] and int64 [K], by blocks; 0 across groups."""
    words = _block_words(masks)
    overlaps = np.zeros((len(masks), len(masks)), np.float32)
    for group in np.unique(groups[groups >= 0]):
        members = np.flatnonzero(groups == group)
        overlaps[members[:, None], members] = _overlaps_in_group(words[members])
    return overlaps


def _block_words(masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Masks [K, h, w] as [K, blocks], a word a block of 8 x 8 pixels."""
    count, height, width = masks.shape
    margins = ((0, 0), (0, -height % _SIDE), (0, -width % _SIDE))
    rows = np.packbits(np.pad(masks, margins) if any(margins[1:]) else masks, axis=2)
    blocks = rows.reshape(count, -1, _SIDE, rows.shape[2]).swapaxes(2, 3)
    return np.ascontiguousarray(blocks).view(np.uint64).reshape(count, -1)


def _overlaps_in_group(words: npt.NDArray[np.uint64]) -> npt.NDArray[np.float32]:
    areas = np.bitwise_count(words)
    full = areas == _FULL
    partial = (areas > 0) & ~full
    shared = (
        torch.from_numpy(full).to(torch.float32) @ torch.from_numpy(areas).to(torch.float32).T
    ).numpy()
    by_block = np.ascontiguousarray(words.T)
    for mask, blocks in enumerate(partial):
        edge = np.flatnonzero(blocks)
        # Later masks only: what two masks share is the same seen from either.
        both = by_block[edge, mask:] & words[mask, edge, None]
        shared[mask, mask:] += np.bitwise_count(both).sum(0, dtype=np.uint32)
    upper = np.triu(shared)
    return np.asarray(upper + np.triu(shared, 1).T, np.float32)
