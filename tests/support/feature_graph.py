"""A graph of a few nodes with the output `features`: grey values of a coarse grid, and squares."""

from __future__ import annotations

import onnx
from onnx import parser

CELLS = 16


def feature_graph() -> onnx.ModelProto:
    """Images [N, 1, 64, 64] to features [N, 32]; the other outputs are there for their names."""
    return parser.parse_model(
        """
        <ir_version: 10, opset_import: ["" : 20]>
        coarse (float[N, 1, 64, 64] images)
            => (float[N, 16] scores, int64[N, 16] labels, uint8[N, 16] masks, float[N, 32] features)
        <int64[2] flat = {0, -1}> {
            cells = AveragePool <kernel_shape = [16, 16], strides = [16, 16]> (images)
            grey = Reshape (cells, flat)
            squares = Mul (grey, grey)
            features = Concat <axis = 1> (grey, squares)
            scores = Identity (grey)
            labels = Cast <to = 7> (grey)
            masks = Cast <to = 2> (grey)
        }
        """
    )
