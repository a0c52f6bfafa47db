"""Graph surgery around `features`: the nodes that make an out-of-distribution score of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference
from onnx.utils import Extractor

from export.feature_subspace import Subspace
from export.wrapper import FEATURES_NAME
from solo.contract.manifest import INPUT_NAME, OUT_OF_DISTRIBUTION_NAME, OUTPUT_NAMES

# In standard deviations of training films: squares of more would not fit into float32.
_FARTHEST = 1e6


def features_alone(model: onnx.ModelProto) -> onnx.ModelProto:
    """The part of a graph that makes `features`, float32 [N, 2 C], of images."""
    return _part(model, FEATURES_NAME)


def score_alone(model: onnx.ModelProto) -> onnx.ModelProto:
    """The part of a graph that makes the score, float32 [N], of images."""
    return _part(model, OUT_OF_DISTRIBUTION_NAME)


def with_features(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph with the output `features` in place of the score."""
    return _part(model, *OUTPUT_NAMES, FEATURES_NAME)


def without_features(model: onnx.ModelProto) -> onnx.ModelProto:
    """A graph that neither tells the score nor works out what it is made of."""
    return _part(model, *OUTPUT_NAMES)


def with_score(model: onnx.ModelProto, subspace: Subspace, limit: float) -> onnx.ModelProto:
    """A graph with the output `out_of_distribution` in place of `features`.

    Args:
        model: with the output `features`.
        subspace: fitted on this graph's features.
        limit: the residual that scores 1, above 0.
    """
    # Residuals grow with the square of the scale: with this one they are scores.
    constants = {
        "mean": subspace.mean,
        "scale": subspace.scale / np.sqrt(limit),
        "directions": subspace.directions,
        "least": np.array(-_FARTHEST),
        "most": np.array(_FARTHEST),
    }
    steps = (
        ("Sub", (FEATURES_NAME, "mean"), "centred"),
        ("Mul", ("centred", "scale"), "scaled"),
        ("Clip", ("scaled", "least", "most"), "standardised"),
        ("MatMul", ("standardised", "directions"), "coordinates"),
        ("Gemm", ("coordinates", "directions"), "explained"),
        ("Sub", ("standardised", "explained"), "left"),
        ("Mul", ("left", "left"), "squares"),
        ("ReduceMean", ("squares", "axis"), OUT_OF_DISTRIBUTION_NAME),
    )
    attributes: dict[str, dict[str, Any]] = {"Gemm": {"transB": 1}, "ReduceMean": {"keepdims": 0}}
    whole = {FEATURES_NAME, OUT_OF_DISTRIBUTION_NAME}

    def name(short: str) -> str:
        return short if short in whole else f"{OUT_OF_DISTRIBUTION_NAME}_{short}"

    scored = onnx.ModelProto()
    scored.CopyFrom(model)
    graph = scored.graph
    graph.initializer.extend(
        numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name(short))
        for short, value in constants.items()
    )
    graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), name("axis")))
    graph.node.extend(
        helper.make_node(
            kind, [*map(name, given)], [name(made)], name(f"to_{made}"), **attributes.get(kind, {})
        )
        for kind, given, made in steps
    )
    features = next(output for output in graph.output if output.name == FEATURES_NAME)
    graph.value_info.append(features)
    batch = features.type.tensor_type.shape.dim[0]
    graph.output.remove(features)
    score = helper.make_tensor_value_info(OUT_OF_DISTRIBUTION_NAME, TensorProto.FLOAT, [None])
    score.type.tensor_type.shape.dim[0].CopyFrom(batch)
    graph.output.append(score)
    return scored


def _part(model: onnx.ModelProto, *outputs: str) -> onnx.ModelProto:
    made_of = {output.name for output in model.graph.output}
    known = model if made_of.issuperset(outputs) else shape_inference.infer_shapes(model)
    part = Extractor(known).extract_model([INPUT_NAME], list(outputs))
    part.producer_name, part.doc_string = model.producer_name, model.doc_string
    return part
