from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from solo.contract.manifest import Manifest
from solo.inference.cores import usable_cores
from solo.inference.engine import InferenceError, ModelError
from solo.inference.io_binding import BoundSession
from solo.inference.model_file import ModelFile
from solo.inference.onnx_engine import OnnxEngine, closed_batch_sizes
from tests.support.engines import (
    CANVAS,
    expected_distance,
    expected_scores,
    fitted,
    manifest,
    write_tiny_model,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx", manifest())


def test_each_image_of_a_padded_batch_gets_its_own_answer(path: Path) -> None:
    engine = OnnxEngine(ModelFile.read(path), "cpu", max_batch=4, cores=1)
    engine.warm_up()
    images = np.stack([np.full((1, *CANVAS), grey, np.float32) for grey in (0.25, 0.5, 1)])
    answers = engine.run(images)
    assert len(answers) == 3
    for answer, grey in zip(answers, (0.25, 0.5, 1), strict=True):
        found = answer.instances
        assert found.scores.tolist() == pytest.approx(expected_scores(grey))
        assert found.labels.tolist() == [0, 1]  # the empty slot is gone
        assert found.masks[0].max() == int(255 * grey)


@pytest.mark.parametrize("bound", [False, True], ids=["plain", "bound"])
@pytest.mark.parametrize("document", [manifest(), fitted()], ids=["without", "with"])
def test_a_score_belongs_to_its_image_where_the_model_has_one(
    tmp_path: Path, document: Manifest, bound: bool
) -> None:
    path = write_tiny_model(tmp_path / "tiny.onnx", document)
    engine = OnnxEngine(ModelFile.read(path), "cpu", max_batch=4, cores=1)
    if bound:
        engine._bound = BoundSession(engine._session, document, "cpu")
    engine.warm_up()
    greys = (0.25, 0.5, 1)
    images = np.stack([np.full((1, *CANVAS), grey, np.float32) for grey in greys])
    found = [answer.out_of_distribution for answer in engine.run(images)]
    assert found == [expected_distance(grey) if document == fitted() else None for grey in greys]
    engine.reopen()
    assert [answer.out_of_distribution for answer in engine.run(images)] == found


@pytest.mark.parametrize("score", [np.inf, -1])
def test_a_score_that_no_sound_model_gives_is_no_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, score: float
) -> None:
    path = write_tiny_model(tmp_path / "tiny.onnx", fitted())
    engine = OnnxEngine(ModelFile.read(path), "cpu", 1, cores=1)
    outputs = [np.zeros((1, 3), np.float32), np.full((1, 3), -1), np.zeros((1, 3, 16, 16), "u1")]
    answer = [*outputs, np.array([score], np.float32)]
    monkeypatch.setattr(engine, "_compute", lambda _: answer)
    with pytest.raises(InferenceError, match="out-of-distribution score is negative or not"):
        engine.run(np.zeros((1, 1, *CANVAS), np.float32))


@pytest.mark.parametrize(
    ("document", "tells"), [(manifest(), True), (fitted(), False)], ids=["unsaid", "missing"]
)
def test_graph_and_manifest_agree_on_the_score(
    tmp_path: Path, document: Manifest, tells: bool
) -> None:
    path = write_tiny_model(tmp_path / "other.onnx", document, tells_distance=tells)
    with pytest.raises(ModelError, match=r"the graph has .*, but the manifest means") as caught:
        ModelFile.read(path)
    assert str(caught.value).count("'out_of_distribution'") == 1


@pytest.mark.parametrize(
    ("kind", "shape"),
    [(TensorProto.FLOAT, ["N", 1]), (TensorProto.DOUBLE, ["N"]), (TensorProto.FLOAT, [1])],
)
def test_a_score_of_another_form_is_refused(tmp_path: Path, kind: int, shape: list[Any]) -> None:
    path = write_tiny_model(tmp_path / "tiny.onnx", fitted())
    model = onnx.load(path)
    (output,) = (one for one in model.graph.output if one.name == "out_of_distribution")
    output.CopyFrom(onnx.helper.make_tensor_value_info(output.name, kind, shape))
    steps = {node.output[0]: node for node in model.graph.node}
    last = steps["out_of_distribution"]
    last.output[0] = "distance"
    if kind == TensorProto.DOUBLE:
        added = onnx.helper.make_node("Cast", ["distance"], [output.name], to=kind)
    else:
        model.graph.initializer.append(
            onnx.numpy_helper.from_array(np.array([-1, 1][: len(shape)]), "shape")
        )
        added = onnx.helper.make_node("Reshape", ["distance", "shape"], [output.name])
    model.graph.node.append(added)
    onnx.save(model, path)
    with pytest.raises(ModelError, match="'out_of_distribution' "):
        ModelFile.read(path)


def test_the_engine_tells_what_it_is(path: Path) -> None:
    engine = OnnxEngine(ModelFile.read(path), "auto", max_batch=6, cores=2)
    assert engine.manifest == manifest()
    assert len(engine.sha256) == 64


@pytest.mark.parametrize(
    ("cores", "at_once", "sizes"), [(1, 1, (1, 2, 4, 6)), (2, 2, (1, 2, 3)), (64, 6, (1,))]
)
def test_runs_at_once_share_the_images_that_may_be_in_memory(
    path: Path,
    cores: int,
    at_once: int,
    sizes: tuple[int, ...],
) -> None:
    engine = OnnxEngine(ModelFile.read(path), "cpu", max_batch=6, cores=cores)
    assert (engine.runs_at_once, engine.batch_sizes) == (at_once, sizes)


def test_a_model_that_was_replaced_gives_its_memory_back_at_once(path: Path) -> None:
    # What there is when the server starts is frozen: the collector never finds a cycle in it.
    engine = OnnxEngine(ModelFile.read(path), "cpu", max_batch=1, cores=2)
    engine.warm_up()
    gone = weakref.ref(engine)
    gc.disable()
    try:
        del engine
        assert gone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("largest", "sizes"), [(1, (1,)), (2, (1, 2)), (8, (1, 2, 4, 8)), (9, (1, 2, 4, 8, 9))]
)
def test_batch_sizes_are_closed(largest: int, sizes: tuple[int, ...]) -> None:
    assert closed_batch_sizes(largest) == sizes


def test_scores_that_are_not_finite_are_no_answer(path: Path) -> None:
    engine = OnnxEngine(ModelFile.read(path), "cpu", max_batch=1, cores=2)
    with pytest.raises(InferenceError, match="not finite"):
        engine.run(np.full((1, 1, *CANVAS), np.nan, np.float32))


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_is_not_there_stops_the_start(path: Path, provider: Any) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime was built with CUDA")
    with pytest.raises(ModelError, match=f"the provider is set to {provider}, but this"):
        OnnxEngine(ModelFile.read(path), provider, max_batch=1, cores=2)


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        OnnxEngine(ModelFile.read(tmp_path / "absent.onnx"), "cpu", 1, cores=2)
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ModelError, match="cannot be opened"):
        OnnxEngine(ModelFile.read(tmp_path / "text.onnx"), "cpu", 1, cores=2)


def test_a_model_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="solo_xray_manifest"):
        OnnxEngine(ModelFile.read(write_tiny_model(tmp_path / "bare.onnx")), "cpu", 1, cores=2)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"canvas_size": (128, 64)}, "'images' is"),
        ({"max_instances": 9}, "'scores' is"),
        ({"mask_stride": 8}, "'masks' is"),
    ],
)
def test_a_graph_that_is_not_what_its_manifest_says_is_refused(
    tmp_path: Path, changes: dict[str, object], text: str
) -> None:
    path = write_tiny_model(tmp_path / "other.onnx", manifest(**changes))
    with pytest.raises(ModelError, match=text):
        OnnxEngine(ModelFile.read(path), "cpu", 1, cores=2)


def test_a_fixed_batch_size_is_refused(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "fixed.onnx", manifest(), fixed=True)
    with pytest.raises(ModelError, match="fixed batch size of 1"):
        OnnxEngine(ModelFile.read(path), "cpu", 1, cores=2)


@pytest.mark.parametrize(
    ("quota", "most"), [("150000 100000", 2), ("10000 100000", 1), ("max 100000", None), ("", None)]
)
def test_cores_follow_the_quota(tmp_path: Path, quota: str, most: int | None) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    unlimited = usable_cores(tmp_path / "absent")
    assert usable_cores(tmp_path) == (unlimited if most is None else min(most, unlimited))


@pytest.mark.parametrize(("quota", "most"), [("100000", 1), ("10000", 1), ("-1", None)])
def test_cores_of_an_older_cgroup(tmp_path: Path, quota: str, most: int | None) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    unlimited = usable_cores(tmp_path / "absent")
    assert usable_cores(tmp_path) == (unlimited if most is None else most)
