"""Mixed precision: fewer bits in the network, float32 in losses and sums."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from model.configuration.recipe import PrecisionName


def autocast(device: torch.device, precision: PrecisionName) -> torch.autocast:
    """Autocast context in which the network runs."""
    dtype = torch.float16 if precision == "float16" else torch.bfloat16
    return torch.autocast(device.type, dtype, enabled=precision != "float32")


def gradient_scaler(device: torch.device, precision: PrecisionName) -> torch.amp.GradScaler:
    """Loss scaling for float16, whose small gradients would be 0; else does nothing."""
    return torch.amp.GradScaler(device.type, enabled=precision == "float16")


def in_float32(outputs: Any) -> Any:  # noqa: ANN401  # any head's outputs, and the same again
    """A head's raw outputs in float32: a tensor, a list or a dataclass of these.

    The dice loss sums squares over tens of thousands of pixels, beyond float16's largest number,
    and bfloat16 would round the sums to two digits.
    """
    if isinstance(outputs, Tensor):
        return outputs.float() if outputs.is_floating_point() else outputs
    if isinstance(outputs, list | tuple):
        return type(outputs)(in_float32(each) for each in outputs)
    if is_dataclass(outputs) and not isinstance(outputs, type):
        values = {each.name: in_float32(getattr(outputs, each.name)) for each in fields(outputs)}
        return replace(outputs, **values)
    return outputs
