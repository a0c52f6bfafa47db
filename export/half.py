"""Makes the float16 variant of an exported model, for GPUs, if it is as good.

python -m export.half MODEL.onnx --data DIR [--data DIR ...] [--fold K] --out MODEL.fp16.onnx

Everything up to the last convolutions is in half precision: weights take half the space, and a GPU
multiplies them in its tensor cores. What follows - scores, sums over masks, Matrix NMS - stays in
float32, since counts above 2048 are not exact in 16 bits, and so do input, outputs, and layers that
normalise by means of their input.

With `--fold` both models are compared on the films that a network of that fold was not trained on.
"""

from __future__ import annotations

from pathlib import Path

import onnx
from onnx import compose, shape_inference
from onnx.utils import Extractor
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from export.reduced_precision import variant_command
from model.data.coco import CocoDataset
from solo.contract.manifest import INPUT_NAME, Manifest

# Their sums of squares do not fit into 16 bits.
_IN_FLOAT = ("InstanceNormalization", "GroupNormalization", "LayerNormalization")


def halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """Converts all that leads to a convolution to float16, and leaves the rest as it was.

    The graph is cut behind the convolutions and only the first part converted: the library's
    converter rounds whatever it is told to leave in float32 between any two nodes.

    Args:
        model: as written by `python -m export`.
    """
    inferred = shape_inference.infer_shapes(model)
    cut = _behind_the_convolutions(inferred.graph)
    outputs = [output.name for output in model.graph.output]
    parts = Extractor(inferred)
    network = parts.extract_model([INPUT_NAME], cut)
    rest = parts.extract_model(cut, outputs)
    # Both parts may use one constant, in two precisions.
    rest = compose.add_prefix(
        rest,
        "rest_",
        rename_nodes=False,
        rename_edges=False,
        rename_inputs=False,
        rename_outputs=False,
        rename_value_infos=False,
    )
    del rest.graph.value_info[:]
    joined = compose.merge_models(
        _in_float16(network),
        rest,
        io_map=[(name, name) for name in cut],
        outputs=outputs,
    )
    del joined.opset_import[1:]  # the same of both parts
    joined.producer_name, joined.doc_string = model.producer_name, model.doc_string
    return joined


def _behind_the_convolutions(graph: onnx.GraphProto) -> list[str]:
    """Tensors that lead to a convolution or come from one, and that something else uses."""
    made_by = {name: node for node in graph.node for name in node.output}
    leading: set[str] = set()
    left = [name for node in graph.node if node.op_type == "Conv" for name in node.output]
    while left:
        name = left.pop()
        if name in made_by and name not in leading:
            leading.update(made_by[name].output)
            left.extend(made_by[name].input)
    used = {name for node in graph.node if node.output[0] not in leading for name in node.input}
    return sorted(used & leading)


def _in_float16(network: onnx.ModelProto) -> onnx.ModelProto:
    constants = {tensor.name for tensor in network.graph.initializer}
    # A constant with a declared type gets a cast for each of its users, all of one name.
    declared = [value for value in network.graph.value_info if value.name not in constants]
    del network.graph.value_info[:]
    network.graph.value_info.extend(declared)
    half = OnnxModel(
        convert_float_to_float16(
            network,
            keep_io_types=True,
            disable_shape_infer=True,
            op_block_list=[*DEFAULT_OP_BLOCK_LIST, *_IN_FLOAT],
        )
    )
    converted: onnx.ModelProto = half.model
    # It gives a constant the same cast for each of its users that stays in float32.
    made: set[str] = set()
    for node in list(converted.graph.node):
        if node.output[0] in made:
            converted.graph.node.remove(node)
        made.update(node.output)
    half.topological_sort()
    return converted


def _convert(model: Path, _: Manifest, __: CocoDataset) -> onnx.ModelProto:
    return halve(onnx.load(model))


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    return variant_command(argv, "export.half", __doc__, "float16", _convert)


if __name__ == "__main__":
    raise SystemExit(main())
