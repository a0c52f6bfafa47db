"""The float16 variant: what is in half precision in it, and what must not be."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, shape_inference

from export import reduced_precision
from export.half import halve, main
from solo.contract.manifest import OUTPUT_NAMES, Manifest
from tests.support.coco_folder import disc_folder
from tests.support.exported import exported, film_canvases


@pytest.fixture(scope="module")
def half() -> onnx.ModelProto:
    return halve(onnx.load_from_string(exported().model))


def types(model: onnx.ModelProto) -> dict[str, int]:
    """Element types of all tensors by name."""
    graph = shape_inference.infer_shapes(model, strict_mode=True).graph
    values = [*graph.value_info, *graph.input, *graph.output]
    found = {value.name: value.type.tensor_type.elem_type for value in values}
    return found | {tensor.name: tensor.data_type for tensor in graph.initializer}


def test_all_convolutions_are_in_half_precision(half: onnx.ModelProto) -> None:
    kinds = types(half)
    weights = [kinds[node.input[1]] for node in half.graph.node if node.op_type == "Conv"]
    assert len(weights) > 5
    assert set(weights) == {TensorProto.FLOAT16}


def test_sums_and_suppression_are_not(half: onnx.ModelProto) -> None:
    kinds = types(half)
    delicate = {"Sigmoid", "TopK", "ReduceSum", "Exp", "ReduceMin", "ReduceMax", "MatMul", "Div"}
    inputs = [
        (node.op_type, kinds[node.input[0]])
        for node in half.graph.node
        if node.op_type in delicate and "images" not in node.input[0]
    ]
    after = [kind for op_type, kind in inputs if op_type in delicate - {"Div"}]
    assert {op_type for op_type, _ in inputs} >= {"TopK", "ReduceSum", "Exp", "MatMul"}
    assert TensorProto.FLOAT16 not in after


def test_layers_that_normalise_by_their_input_are_not() -> None:
    nodes = [
        onnx.helper.make_node("Conv", ["images", "w"], ["x"], name="first", pads=[1] * 4),
        onnx.helper.make_node("InstanceNormalization", ["x", "s", "b"], ["y"], name="norm"),
        onnx.helper.make_node("Conv", ["y", "w"], ["z"], name="second", pads=[1] * 4),
        onnx.helper.make_node("Identity", ["z"], ["scores"], name="s"),
        onnx.helper.make_node("Identity", ["z"], ["labels"], name="l"),
        onnx.helper.make_node("Identity", ["z"], ["masks"], name="m"),
    ]
    constants = {
        "w": np.full((1, 1, 3, 3), 30, np.float32),
        "s": np.ones(1, np.float32),
        "b": np.zeros(1, np.float32),
    }
    shape: list[str | int | None] = ["N", 1, 8, 8]
    graph = onnx.helper.make_graph(
        nodes,
        "normalised",
        [onnx.helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)],
        [onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
         for name in OUTPUT_NAMES],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    opsets = [onnx.helper.make_opsetid("", 20)]
    found = halve(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10))
    kinds = types(found)
    by_name = {node.name: [kinds[name] for name in node.input] for node in found.graph.node}
    assert set(by_name["norm"]) == {TensorProto.FLOAT}
    assert set(by_name["first"] + by_name["second"]) == {TensorProto.FLOAT16}


def test_it_keeps_the_contract_and_answers_nearly_alike(half: onnx.ModelProto) -> None:
    films = film_canvases()
    first, second = (
        onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        for model in (exported().model, half.SerializeToString())
    )
    for one, other in zip(
        [*first.get_inputs(), *first.get_outputs()],
        [*second.get_inputs(), *second.get_outputs()],
        strict=True,
    ):
        assert (one.name, one.type, one.shape) == (other.name, other.type, other.shape)
    (scores, *_), (near, *_) = (
        session.run(list(OUTPUT_NAMES), {"images": films}) for session in (first, second)
    )
    assert (scores != near).any()
    # Near ties of a network without training change places, so that it is not told one by one.
    assert np.corrcoef(scores.ravel(), near.ravel())[0, 1] > 0.99
    assert np.abs(scores[:, 0] - near[:, 0]).max() < 0.01


def test_the_command_writes_a_model_that_names_what_it_was_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    disc_folder(tmp_path / "films", 6)
    model, out = tmp_path / "tiny.onnx", tmp_path / "tiny.fp16.onnx"
    model.write_bytes(exported().model)
    monkeypatch.setattr(
        reduced_precision, "quality", lambda *_: {"ap": 0.5}
    )  # the tiny network has none
    arguments = [str(model), "--films", str(tmp_path / "films"), "--out", str(out)]
    assert main(arguments) == 0, capsys.readouterr().err
    metadata = {entry.key: entry.value for entry in onnx.load(out).metadata_props}
    found = Manifest.from_metadata(metadata)
    assert found.precision == "float16"
    assert found.float32_sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    assert out.stat().st_size < 0.7 * model.stat().st_size
    assert "float16  on 6 films: ap 0.5" in capsys.readouterr().out
    assert main([str(out), *arguments[1:-1], str(tmp_path / "again.onnx")]) == 1
    assert "is in float16 already" in capsys.readouterr().err
