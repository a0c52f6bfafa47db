"""Reductions of uint8 masks, eight pixels at a time.

Eight uint8 pixels are one int64, and sums of many small numbers fit side by side in it, so that one
addition adds eight pixels. On a CPU masks are taken one by one: each then stays in the cache.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

_LOWEST_BITS = 0x0101010101010101
_EVERY_SECOND_BYTE = 0x00FF00FF00FF00FF
_EVERY_SECOND_PAIR = 0x0000FFFF0000FFFF
_ROWS = 255  # so many ones fit in a byte


def row_and_column_counts(masks: Tensor) -> tuple[Tensor, Tensor]:
    """Counts the pixels of each row and each column that are at least half covered.

    Args:
        masks: uint8 [n, H, W], 0 to 255.

    Returns:
        int64 [n, H] and int64 [n, W].
    """
    height, width = masks.shape[1:]
    padded = F.pad(masks, (0, -width % 8)) if width % 8 else masks
    counts = _by_mask(_counts, padded)
    return counts[:, :height], counts[:, height : height + width]


def block_means(masks: Tensor, side: int) -> Tensor:
    """The mean of every block of `side` x `side` pixels.

    Args:
        masks: uint8 [n, H, W]; H and W multiples of the side.
        side: 1 or above.

    Returns:
        float32 [n, H / side, W / side], 0 to 255.
    """
    if side % 4 or masks.shape[-1] % 8:
        return _by_mask(lambda mask: F.avg_pool2d(mask.to(torch.float32), side), masks)
    means = _by_mask(_sums_of_sixteen, masks).to(torch.float32) / 16
    return F.avg_pool2d(means.unsqueeze(1), side // 4).squeeze(1)


def _by_mask(function: Callable[[Tensor], Tensor], masks: Tensor) -> Tensor:
    if not len(masks):  # an empty tensor cannot be viewed as words, but its sums have a shape
        return function(masks.new_zeros((1, *masks.shape[1:])))[:0]
    at_once = 1 if masks.device.type == "cpu" else len(masks)
    return torch.cat([function(some) for some in masks.split(at_once)])


def _counts(masks: Tensor) -> Tensor:
    """Counts of [n, H, W]: [n, H + W]."""
    bits = (masks.contiguous().view(torch.int64) >> 7) & _LOWEST_BITS
    words = [part.sum(1) for part in bits.split(_ROWS, dim=1)]
    columns = torch.stack(words).view(torch.uint8).sum(0)
    rows = [part.sum(2, keepdim=True) for part in bits.split(_ROWS, dim=2)]
    return torch.cat([torch.cat(rows, dim=2).view(torch.uint8).sum(2), columns], dim=1)


def _sums_of_sixteen(masks: Tensor) -> Tensor:
    """Sums of 4 x 4 blocks of [n, H, W]: int32 [n, H / 4, W / 4]."""
    words = masks.contiguous().unflatten(1, (-1, 4)).view(torch.int64)
    pairs = ((words & _EVERY_SECOND_BYTE) + ((words >> 8) & _EVERY_SECOND_BYTE)).sum(2)
    fours: Tensor = (pairs & _EVERY_SECOND_PAIR) + ((pairs >> 16) & _EVERY_SECOND_PAIR)
    return fours.view(torch.int32)
