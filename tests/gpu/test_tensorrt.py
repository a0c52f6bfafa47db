"""The bundled model in TensorRT, where that is installed: answers, and engines that are kept."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest

from solo.inference.model_file import ModelFile
from solo.inference.onnx_engine import OnnxEngine
from solo.inference.providers import GpuOptions
from solo.inference.self_test import SelfTest, Tolerance
from tests.support.bundled import MODEL, chest_canvases, write_half

pytestmark = [pytest.mark.gpu, pytest.mark.slow]

TENSORRT = "TensorrtExecutionProvider"
NEAR = {"float32": Tolerance(0.98, 0.02), "float16": Tolerance(0.97, 0.03)}


@pytest.fixture(autouse=True)
def _installed() -> None:
    try:
        ctypes.CDLL("libnvinfer.so.10")
    except OSError:
        pytest.skip("there is no TensorRT (libnvinfer.so.10)")


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_answers_are_those_of_the_cpu_and_engines_are_kept(
    precision: str, tmp_path: Path
) -> None:
    path = MODEL if precision == "float32" else write_half(tmp_path / "cxr-lungs.fp16.onnx")
    kept = GpuOptions(engine_cache=tmp_path / "engines")
    on_cpu, on_gpu = (
        OnnxEngine(ModelFile.read(MODEL), "cpu", 4, cores=2),
        OnnxEngine(ModelFile.read(path), "tensorrt", 4, kept, cores=2),
    )
    assert on_gpu.provider == TENSORRT
    on_gpu.warm_up()
    films = np.concatenate(list(chest_canvases().values()))
    for expected, found in zip(on_cpu.run(films), on_gpu.run(films), strict=True):
        SelfTest(on_cpu, expected.instances).check(found.instances, NEAR[precision])

    engines = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.engine")}
    assert len(engines) == 1  # the network; what follows it is CUDA's
    again = OnnxEngine(ModelFile.read(path), "tensorrt", 4, kept, cores=2)
    again.warm_up()
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.engine")} == engines
