"""The bundled model in float16, as the service opens it, against the file that it is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from solo.inference.model_file import ModelFile
from solo.inference.onnx_engine import OnnxEngine
from solo.inference.self_test import SelfTest, Tolerance
from tests.support.bundled import MODEL, chest_canvases, write_half

# On the self-test image, the example and the 90 films that it was trained on, 184 lungs in all, the
# least overlap was 0.996 and the largest difference of scores 0.003.
NEAR = Tolerance(overlap=0.99, score=0.01)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_half(tmp_path_factory.mktemp("half") / "cxr-lungs.fp16.onnx")


@pytest.fixture(scope="module")
def float32() -> OnnxEngine:
    return OnnxEngine(ModelFile.read(MODEL), "cpu", 1, cores=2)


@pytest.fixture(scope="module")
def float16(path: Path) -> OnnxEngine:
    return OnnxEngine(ModelFile.read(path), "cpu", 1, cores=2)


@pytest.mark.parametrize("name", chest_canvases())
def test_the_same_lungs_are_found(name: str, float32: OnnxEngine, float16: OnnxEngine) -> None:
    film = chest_canvases()[name]
    expected, found = (engine.run(film)[0].instances for engine in (float32, float16))
    assert (expected.scores > 0.3).any()
    SelfTest(float32, expected).check(found, NEAR)


def test_the_file_is_half_as_large(path: Path) -> None:
    assert 0.45 < path.stat().st_size / MODEL.stat().st_size < 0.55
