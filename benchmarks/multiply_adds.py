"""How much a graph computes, and how fast this machine can compute at best."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, shape_inference


def count_multiply_adds(path: Path) -> int:
    """Multiply-adds of the convolutions and matrix products of a graph, for one image."""
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    graph = shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.input, *graph.output):
        sides = value.type.tensor_type.shape.dim
        shapes[value.name] = tuple(side.dim_value or 1 for side in sides)
    total = 0
    for node in graph.node:
        if node.op_type == "Conv":
            total += math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][1:])
        elif node.op_type == "MatMul":
            total += math.prod(shapes[node.output[0]]) * shapes[node.input[0]][-1]
        elif node.op_type == "Gemm":
            total += math.prod(shapes[node.output[0]]) * math.prod(shapes[node.input[1]][:1])
    return total


def peak_multiply_adds_per_second(threads: int, side: int = 768, repeats: int = 25) -> float:
    """What a large matrix product reaches in ONNX Runtime on this machine, in float32."""
    shape = [side, side]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["a", "b"], ["c"])],
        "product",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "ab"],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    random = np.random.default_rng(0)
    feeds = {name: random.random(shape, dtype=np.float32) for name in "ab"}
    times = []
    for _ in range(repeats):
        started = perf_counter()
        session.run(None, feeds)
        times.append(perf_counter() - started)
    return side**3 / median(times[3:])
