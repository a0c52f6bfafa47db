"""ONNX operators that cost less in a graph than what PyTorch's exporter would write.

Outside of an export each is computed by PyTorch, with the same result.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

_OPSET = 20
# In float32 a little above 1 / 255, so that 0.5 becomes 127 and not 128.
_BYTE = 1 / 255


def above(x: Tensor, threshold: float) -> Tensor:
    """float32 with 0 for what is not above a threshold, in a graph by ThresholdedRelu."""
    if not torch.compiler.is_exporting():
        return F.threshold(x, threshold, 0.0)
    return _write("ThresholdedRelu", [x], torch.float32, alpha=float(threshold))


def as_bytes(probabilities: Tensor) -> Tensor:
    """float32 in [0, 1] to uint8, times 255, in a graph by QuantizeLinear.

    A probability is above 0.5 where its byte is above 127.5, whatever the rounding.
    """
    scale = torch.tensor(_BYTE, dtype=torch.float32, device=probabilities.device)
    if not torch.compiler.is_exporting():
        return (probabilities / scale).round().to(torch.uint8)
    zero = torch.zeros((), dtype=torch.uint8, device=probabilities.device)
    return _write("QuantizeLinear", [probabilities, scale, zero], torch.uint8)


def as_float(integers: Tensor) -> Tensor:
    """uint8 or int8 to float32, in a graph by DequantizeLinear with a scale of 1.

    Where both operands of a product come from it, ONNX Runtime multiplies the integers on a CPU.
    Any other provider computes in float32.
    """
    if not torch.compiler.is_exporting():
        return integers.to(torch.float32)
    scale = torch.ones((), dtype=torch.float32, device=integers.device)
    zero = torch.zeros((), dtype=integers.dtype, device=integers.device)
    return _write("DequantizeLinear", [integers, scale, zero], torch.float32)


def _write(operator: str, inputs: list[Tensor], dtype: torch.dtype, **attributes: float) -> Tensor:
    shape = inputs[0].shape
    return torch.onnx.ops.symbolic(
        operator, inputs, {**attributes}, dtype=dtype, shape=shape, version=_OPSET
    )
