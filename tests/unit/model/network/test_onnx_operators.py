"""Operators that are written into a graph by name."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from export.onnx_export import OPSET
from model.network.onnx_operators import above


class _Above(nn.Module):
    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = threshold

    def forward(self, x: Tensor) -> Tensor:
        return above(x, self.threshold)


@pytest.mark.filterwarnings("ignore")  # torch warns of its own deprecations
@pytest.mark.parametrize("threshold", [0.25, 0.0, 0, 1])
def test_a_threshold_may_be_a_whole_number(threshold: float) -> None:
    """As a checkpoint's configuration may have it."""
    values = torch.tensor([-1.0, 0.0, 0.25, 0.5, 1.0, 2.0])
    program = torch.onnx.export(
        _Above(threshold).eval(), (values,), dynamo=True, opset_version=OPSET, verbose=False
    )
    assert program is not None
    session = onnxruntime.InferenceSession(
        program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    (found,) = session.run(None, {session.get_inputs()[0].name: values.numpy()})
    expected = [value if value > threshold else 0 for value in values.tolist()]
    np.testing.assert_array_equal(found, np.array(expected, np.float32))
