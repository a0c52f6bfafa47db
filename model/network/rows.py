"""Rows of each image of a batch by index, copied whole."""

from __future__ import annotations

import torch
from torch import Tensor


def take_rows(rows: Tensor, index: Tensor) -> Tensor:
    """Rows [N, M, ...] at int64 [N, P]: [N, P, ...].

    An index a row where `gather` needs one an element, which in a graph costs more than the copy.
    """
    count, length = rows.shape[:2]
    starts = torch.arange(count, device=index.device)[:, None] * length
    taken = rows.flatten(0, 1).index_select(0, (index + starts).flatten())
    shaped: Tensor = taken.unflatten(0, (count, index.shape[1]))
    return shaped
