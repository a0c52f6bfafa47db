"""The int8 variant: what it holds, how near it stays, and when it is not written."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime
import pytest

from export import quantize as module
from export import reduced_precision
from export.onnx_export import as_metadata, trained_films
from export.quantize import main, quantize
from model.data.coco import load_coco
from model.data.seen_films import film_digests
from model.data.split import split_by_patient
from solo.contract.manifest import OUTPUT_NAMES, Manifest
from tests.support.coco_folder import disc_folder
from tests.support.exported import exported, film_canvases


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(exported().model)
    return path


@cache
def int8_graph() -> onnx.ModelProto:
    """Quantises on the first call; takes some seconds."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tiny.onnx"
        path.write_bytes(exported().model)
        return quantize(path, list(film_canvases()[:, 0]))


def manifest_of(path: Path) -> Manifest:
    graph = onnx.load(path)
    return Manifest.from_metadata({entry.key: entry.value for entry in graph.metadata_props})


def test_all_convolutions_but_the_first_two_are_in_int8() -> None:
    graph = int8_graph().graph
    weights = {tensor.name: tensor.data_type for tensor in graph.initializer}
    made_of = {output: node for node in graph.node for output in node.output}
    kinds = []
    for node in graph.node:
        if node.op_type == "Conv":
            name = node.input[1]
            stored = made_of[name].input[0] if name in made_of else name
            kinds.append(weights[stored])
    assert kinds[:2] == [onnx.TensorProto.FLOAT] * 2
    assert set(kinds[2:]) == {onnx.TensorProto.INT8}
    assert len(kinds) > 5


def test_masks_are_multiplied_as_integers(tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(
        int8_graph().SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert kinds.count("MatMulIntegerToFloat") == 1
    assert kinds.count("MatMul") == 1  # of kernels with mask features
    assert "FusedMatMul" not in kinds


def test_it_answers_nearly_as_the_float32_model_does() -> None:
    films = film_canvases()
    sessions = [
        onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        for model in (exported().model, int8_graph().SerializeToString())
    ]
    (scores, *_), (near, _, masks) = (
        session.run(list(OUTPUT_NAMES), {"images": films}) for session in sessions
    )
    assert masks.dtype == np.uint8
    assert np.corrcoef(scores.ravel(), near.ravel())[0, 1] > 0.9
    assert (scores != near).any()


def test_quality_is_measured_on_the_file_itself(tmp_path: Path) -> None:
    disc_folder(tmp_path / "films", 6)
    figures = reduced_precision.quality(exported().model, load_coco(tmp_path / "films"))
    assert figures["ap"] is not None
    assert 0 <= figures["ap"] <= 1
    assert {"ap50", "dice", "right_count"} <= figures.keys()


def test_the_command_writes_a_model_that_names_what_it_was_made_of(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    disc_folder(tmp_path / "films", 6)
    monkeypatch.setattr(
        reduced_precision, "quality", lambda *_: {"ap": 0.5}
    )  # the tiny network has none
    out = tmp_path / "tiny.int8.onnx"
    done = main(
        [str(model), "--films", str(tmp_path / "films"), "--out", str(out), "--most-loss", "1"]
    )
    assert done == 0, capsys.readouterr().err
    found, given = manifest_of(out), manifest_of(model)
    assert found.precision == "int8"
    assert found.float32_sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    unlike = {"precision": given.precision, "float32_sha256": None}
    assert found.model_copy(update=unlike) == given
    assert out.stat().st_size < model.stat().st_size
    printed = capsys.readouterr().out
    assert "float32  on 6 films: ap " in printed
    assert "int8     on 6 films: ap " in printed


def test_a_model_that_loses_too_much_is_not_written(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    disc_folder(tmp_path / "films", 6)
    figures = iter([{"ap": 0.9}, {"ap": 0.88}])
    monkeypatch.setattr(reduced_precision, "quality", lambda *_: next(figures))
    out = tmp_path / "tiny.int8.onnx"
    assert main([str(model), "--films", str(tmp_path / "films"), "--out", str(out)]) == 1
    assert "AP falls by 0.020, and may by 0.005" in capsys.readouterr().err
    assert not out.exists()


def test_a_fold_that_the_model_was_trained_on_proves_nothing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = load_coco(disc_folder(tmp_path / "films", 6))
    held_out = split_by_patient(data, 0, 2)[1]
    trained = as_metadata(list(film_digests(held_out).values())[:1])
    graph = onnx.load(model)
    given = tmp_path / "trained.onnx"
    onnx.helper.set_model_props(graph, {**manifest_of(model).to_metadata(), **trained})
    onnx.save(graph, given)
    monkeypatch.setattr(module, "quantize", lambda *_: int8_graph())
    monkeypatch.setattr(reduced_precision, "quality", lambda *_: {"ap": 0.5})
    out = tmp_path / "tiny.int8.onnx"
    fold = ["--fold", "0", "--folds", "2", "--out", str(out)]
    command = [str(given), "--data", str(tmp_path / "films"), *fold]
    assert main(command) == 1
    assert f"trained on 1 of these {len(held_out.images)} films" in capsys.readouterr().err
    assert not out.exists()
    assert main([*command, "--seen-films"]) == 0
    assert trained_films(onnx.load(out)) == trained_films(graph)
    assert main([str(model), *command[1:]]) == 0
    assert "does not say which films" in capsys.readouterr().err


def test_films_that_show_nothing_prove_nothing(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    disc_folder(tmp_path / "films", 6)
    monkeypatch.setattr(module, "quantize", lambda *_: int8_graph())
    monkeypatch.setattr(reduced_precision, "quality", lambda *_: {"ap": None})
    out = tmp_path / "tiny.int8.onnx"
    assert main([str(model), "--films", str(tmp_path / "films"), "--out", str(out)]) == 1
    assert "nothing to compare" in capsys.readouterr().err
    assert not out.exists()


def test_what_is_no_model_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "model.onnx").write_bytes(b"not a graph")
    for out, sentence in (
        (tmp_path / "out.onnx", "model.onnx is no ONNX file"),
        (tmp_path / "no" / "out.onnx", "is not a folder"),
        (tmp_path, "is a folder: give the name of a file"),
        (tmp_path / "model.onnx", "would replace what it is made of"),
    ):
        given = [str(tmp_path / "model.onnx"), "--films", str(tmp_path), "--out", str(out)]
        assert main(given) == 1
        assert sentence in capsys.readouterr().err


def test_what_is_int8_already_is_refused(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = onnx.load(model)
    manifest = manifest_of(model).model_copy(update={"precision": "int8"})
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, manifest.to_metadata())
    onnx.save(graph, model)
    assert main([str(model), "--films", str(tmp_path), "--out", str(tmp_path / "out.onnx")]) == 1
    assert "is in int8 already" in capsys.readouterr().err
