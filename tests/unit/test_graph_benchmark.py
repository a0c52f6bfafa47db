"""Which part of a graph each operation is counted to, and what the comparisons print."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from benchmarks import graph as graph_benchmark
from benchmarks import graph_answers
from benchmarks.graph_parts import BESIDES, CANDIDATES, MASKS, NETWORK, NMS, bare_network, parts_of
from export.half import halve
from export.onnx_export import export
from model.network.solo_network import SoloNetwork
from solo.contract.manifest import INPUT_NAME
from tests.support.bundled import MODEL
from tests.support.coco_folder import disc_folder
from tests.support.exported import ABOUT, exported, film_canvases
from tests.support.tiny import FourConvolutions, enliven, tiny_config

ZOO = MODEL.parent


def tiny() -> onnx.ModelProto:
    return onnx.load_from_string(exported().model)


def with_another_answer() -> onnx.ModelProto:
    """The tiny model with a fourth output: the mean of each channel of its first map, cut at 0."""
    model = tiny()
    first = next(node for node in model.graph.node if node.op_type == "Conv").output[0]
    axes = onnx.numpy_helper.from_array(np.array([2, 3]), "spatial_axes")
    model.graph.initializer.append(axes)
    model.graph.node.extend(
        [
            onnx.helper.make_node("ReduceMean", [first, "spatial_axes"], ["means"], keepdims=0),
            onnx.helper.make_node("Relu", ["means"], ["another"]),
        ]
    )
    floats = onnx.TensorProto.FLOAT
    model.graph.output.append(onnx.helper.make_tensor_value_info("another", floats, None))
    return model


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    "tiny": tiny,
    "float16": lambda: halve(tiny()),
    "with another answer": with_another_answer,
    "bundled": lambda: onnx.load(MODEL),
    "bundled int8": lambda: onnx.load(ZOO / "cxr-lungs.int8.onnx"),
    "bundled, two levels": lambda: onnx.load(ZOO / "thorax-anatomy.onnx"),
}


def assert_parts(model: onnx.ModelProto) -> None:
    graph = model.graph
    parts = parts_of(graph)
    by_operation = {
        part: {node.op_type for node, of in zip(graph.node, parts, strict=True) if of == part}
        for part in parts
    }
    assert {NETWORK, CANDIDATES, MASKS, NMS} <= by_operation.keys()
    assert not [p for part in (CANDIDATES, MASKS, NMS) for p in by_operation[part] if "Conv" in p]
    assert {"TopK", "MaxPool"} <= by_operation[CANDIDATES]
    assert {"TopK", "Exp"} & by_operation[NMS]
    assert "Exp" not in by_operation[MASKS]
    assert "TopK" not in by_operation[MASKS] | by_operation[NETWORK]
    maker = {
        name: part for node, part in zip(graph.node, parts, strict=True) for name in node.output
    }
    assert [maker[name] for name in ("scores", "labels", "masks")] == [NMS, NMS, MASKS]


@pytest.mark.parametrize("name", MODELS)
def test_parts_are_told_apart(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    assert_parts(model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    optimised = onnx.load(tmp_path / "optimised.onnx")
    assert_parts(optimised)
    for graph in (model.graph, optimised.graph):
        besides = [n.op_type for n, part in zip(graph.node, parts_of(graph), strict=True)
                   if part == BESIDES]  # fmt: skip
        if name == "with another answer":
            assert besides == ["ReduceMean", "Relu"]
        else:  # the out-of-distribution output, where there is one
            assert bool(besides) == (len(graph.output) > 3)


@pytest.mark.parametrize("variant", ["solo", "decoupled_solo_light"])
@pytest.mark.long
def test_parts_of_other_variants(
    variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model.network.solo_network.build_backbone", lambda _: FourConvolutions())
    network = enliven(SoloNetwork(tiny_config(variant=variant)))
    export(network, ABOUT, film_canvases(), tmp_path / "model.onnx")
    assert_parts(onnx.load(tmp_path / "model.onnx"))


@pytest.mark.parametrize("name", MODELS)
def test_the_bare_network_runs_alone(name: str) -> None:
    model = MODELS[name]()
    bare = bare_network(model)
    session = onnxruntime.InferenceSession(
        bare.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    sides = session.get_inputs()[0].shape[2:]
    maps = session.run(None, {INPUT_NAME: np.zeros((2, 1, *sides), np.float32)})
    assert [one.shape for one in maps if one.ndim == 4 and one.shape[0] == 2]
    convolutions = [sum("Conv" in node.op_type for node in m.graph.node) for m in (model, bare)]
    assert convolutions[0] == convolutions[1]
    assert not [node.op_type for node in bare.graph.node if node.op_type in ("TopK", "ReduceMean")]


def test_the_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [tmp_path / "a.onnx", tmp_path / "b.onnx"]
    files[0].write_bytes(exported().model)
    onnx.save(with_another_answer(), files[1])
    graph_benchmark.main([*map(str, files), "--rounds", "3"])
    lines = capsys.readouterr().out.splitlines()
    rows = {line.split(" | ")[0].removeprefix("| "): line.strip("| ").split(" | ")[1:]
            for line in lines if line.startswith("| ")}  # fmt: skip
    whole, bare, network = (
        [float(figure) for figure in rows[name]]
        for name in ("whole graph, ms", "bare network, ms", NETWORK)
    )
    assert all(0 < b < w for b, w in zip(bare, whole, strict=True))
    assert all(figure > 0 for figure in network)
    assert rows["times the first file"][0] == "1.00"
    assert [name for name in rows if name in (NETWORK, CANDIDATES, MASKS, NMS, BESIDES)] == [
        NETWORK, CANDIDATES, MASKS, NMS, BESIDES,
    ]  # fmt: skip
    assert [float(figure) > 0 for figure in rows[BESIDES]] == [False, True]
    assert any(name.startswith(f"{NETWORK}: ") for name in rows)


def test_answers_of_two_files_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films = disc_folder(tmp_path / "films", 6)
    same, other = tmp_path / "same.onnx", tmp_path / "other.onnx"
    same.write_bytes(exported().model)
    model = tiny()
    masks = next(node for node in model.graph.node if "masks" in node.output)
    masks.output[0] = "darker"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(3, np.uint8), "three"))
    model.graph.node.append(onnx.helper.make_node("Max", ["darker", "three"], ["masks"]))
    onnx.save(model, other)
    graph_answers.main([str(same), str(same), "--films", str(films)])
    graph_answers.main([str(same), str(other), "--films", str(films)])
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("6 films, ")
    assert ": 0 without a partner, 0 more; scores within 0.0e+00, masks within 0 of 255" in first
    assert ": 0 without a partner, 0 more; scores within 0.0e+00, masks within 3 of 255" in second
