"""The bundled model on a GPU by CUDA: the answers of the CPU, in memory that is bound once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from solo.contract.instances import Instances
from solo.contract.manifest import INPUT_NAME
from solo.inference import onnx_engine
from solo.inference.engine import DeviceMemoryError, ModelError
from solo.inference.model_file import ModelFile
from solo.inference.onnx_engine import OnnxEngine
from solo.inference.precision import open_engine
from solo.inference.providers import GpuOptions, cuda_options
from solo.inference.self_test import SAME_MODEL, SelfTest, Tolerance
from tests.support.bundled import MODEL, chest_canvases, write_half
from tests.support.exported import exported, film_canvases

pytestmark = pytest.mark.gpu

CUDA = "CUDAExecutionProvider"
# Other kernels sum in another order; float16 lies further off on a CPU too (tests/parity).
NEAR = {"float32": Tolerance(0.99, 0.005), "float16": Tolerance(0.98, 0.02)}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    half = write_half(tmp_path_factory.mktemp("half") / "cxr-lungs.fp16.onnx")
    return {"float32": MODEL, "float16": half}


@pytest.fixture(scope="module")
def engine() -> OnnxEngine:
    return OnnxEngine(ModelFile.read(MODEL), "cuda", 8, cores=2)


def stacked() -> npt.NDArray[np.float32]:
    return np.concatenate(list(chest_canvases().values()))


def same(one: Instances, other: Instances) -> None:
    np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)
    np.testing.assert_array_equal(one.labels, other.labels)
    assert np.abs(one.masks.astype(int) - other.masks).max(initial=0) <= 2


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_answers_are_those_of_the_cpu(precision: str, files: dict[str, Path]) -> None:
    on_cpu, on_gpu = (
        OnnxEngine(ModelFile.read(MODEL), "cpu", 4, cores=2),
        OnnxEngine(ModelFile.read(files[precision]), "cuda", 4, cores=2),
    )
    assert on_gpu.provider == CUDA
    for expected, found in zip(on_cpu.run(stacked()), on_gpu.run(stacked()), strict=True):
        assert (expected.instances.scores > 0.3).any()
        SelfTest(on_cpu, expected.instances).check(found.instances, NEAR[precision])


def test_the_float16_variant_is_taken_by_itself(files: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(MODEL.read_bytes())
    (tmp_path / "model.fp16.onnx").write_bytes(files["float16"].read_bytes())
    for opened in (
        open_engine(tmp_path / "model.onnx", "cuda", 1, cores=2),
        open_engine(tmp_path / "model.onnx", "auto", 1, cores=2),
    ):
        assert (opened.provider, opened.manifest.precision) == (CUDA, "float16")


def test_bound_memory_gives_what_a_plain_run_gives(engine: OnnxEngine) -> None:
    for count in (1, 2, 4):
        images = stacked()[:count]
        plain = engine._session.run(None, {INPUT_NAME: images})
        bound = engine._compute(images)
        for one, other in zip(plain, bound, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one.astype(float), other.astype(float), atol=1)
        np.testing.assert_allclose(plain[0], bound[0], atol=1e-5)


def test_all_batch_sizes_are_warmed_and_answer_alike(engine: OnnxEngine) -> None:
    seconds = engine.warm_up()
    assert tuple(seconds) == engine.batch_sizes == (1, 2, 4, 8)
    assert all(value > 0 for value in seconds.values())
    self_test = SelfTest.record(engine)  # alone and as a full batch
    assert (self_test.instances.scores > 0.3).any()


def test_short_memory_is_told_and_a_smaller_batch_still_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def little(gpu: GpuOptions) -> dict[str, Any]:
        return cuda_options(gpu) | {"gpu_mem_limit": str(96 * 2**20)}

    monkeypatch.setattr(onnx_engine, "cuda_options", little)
    engine = OnnxEngine(ModelFile.read(MODEL), "cuda", 64, cores=2)
    film = stacked()[:1]
    assert engine.run(film)
    with pytest.raises(DeviceMemoryError, match="no memory for a batch of 64"):
        engine.run(np.repeat(film, 64, axis=0))
    assert engine.run(film)


def test_a_new_session_answers_as_the_old_one(engine: OnnxEngine) -> None:
    before = engine.run(stacked())
    engine.reopen()
    for one, other in zip(before, engine.run(stacked()), strict=True):
        SelfTest(engine, one.instances).check(other.instances, SAME_MODEL)


def test_graphs_are_replayed_for_each_batch_size_and_any_thread(tmp_path: Path) -> None:
    path = tmp_path / "tiny.onnx"
    path.write_bytes(exported().model)
    plain = OnnxEngine(ModelFile.read(path), "cuda", 4, cores=2)
    try:
        graphs = OnnxEngine(ModelFile.read(path), "cuda", 4, GpuOptions(cuda_graphs=True), cores=2)
    except ModelError as refusal:
        if "SOLO_CUDA_GRAPHS" not in str(refusal):
            raise
        pytest.skip(str(refusal))
    graphs.warm_up()
    films = film_canvases()
    for count in (4, 1, 2, 4):
        for start in range(0, 4 - count + 1):
            batch = films[start : start + count]
            with ThreadPoolExecutor(1) as other_thread:
                found = other_thread.submit(graphs.run, batch).result()
            for one, other in zip(plain.run(batch), found, strict=True):
                same(one.instances, other.instances)
