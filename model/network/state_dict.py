"""State-dict check: weights against a network's, before any of them is loaded."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def first_misfit(own: Mapping[str, Tensor], given: Mapping[str, object]) -> str | None:
    """The first key that keeps weights from being loaded, as a sentence; None if all fit.

    Args:
        own: the network's state dict.
        given: what is to be loaded into it.
    """
    for key in [*own, *given]:
        if key not in given:
            return f"the weights lack '{key}': they are of another architecture"
        if key not in own:
            return f"the network has no '{key}': the weights are of another one"
        fault = _fault(own[key], given[key])
        if fault:
            return f"'{key}' {fault}"
    return None


def _fault(own: Tensor, given: object) -> str | None:
    if not isinstance(given, Tensor) or given.layout != torch.strided or given.is_complex():
        return "holds something else than plain numbers"
    if own.shape != given.shape:
        return f"is {list(given.shape)} in the weights, {list(own.shape)} in the network"
    if not torch.isfinite(given).all():
        return "holds numbers that are not finite"
    return None
