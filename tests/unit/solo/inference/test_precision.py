"""Which of a model's files is served."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from solo.inference import precision as precision_module
from solo.inference.engine import ModelError
from solo.inference.onnx_engine import OnnxEngine
from solo.inference.precision import Precision, has_byte_products, open_engine
from solo.inference.providers import Provider
from tests.support.engines import manifest, write_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path / "tiny.onnx", manifest())


def write_variant(model: Path, float32_sha256: str | None = None, bits: str = "int8") -> Path:
    of_file = hashlib.sha256(model.read_bytes()).hexdigest()
    document = manifest(precision=bits, float32_sha256=float32_sha256 or of_file)
    suffix = {"int8": ".int8.onnx", "float16": ".fp16.onnx"}[bits]
    return write_tiny_model(model.with_suffix(suffix), document)


class OnGpu(OnnxEngine):
    """An engine that says that a GPU computes, unless it is asked for a processor."""

    def _open(self) -> str:
        asked, self._asked = self._asked, "cpu"
        super()._open()
        return "CPUExecutionProvider" if asked == "cpu" else "CUDAExecutionProvider"


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision_module, "OnnxEngine", OnGpu)
    monkeypatch.setattr(precision_module, "may_be_gpu", lambda provider: provider != "cpu")
    monkeypatch.setattr(precision_module, "has_byte_products", lambda: True)


@pytest.mark.parametrize(
    ("precision", "quick", "served"),
    [
        ("auto", True, "int8"),
        ("auto", False, "float32"),
        ("int8", False, "int8"),
        ("float32", True, "float32"),
    ],
)
def test_the_variant_runs_where_it_is_asked_for_or_quick(
    model: Path, precision: Precision, quick: bool, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision_module, "has_byte_products", lambda: quick)
    int8 = write_variant(model)
    engine = open_engine(model, "cpu", 1, precision, cores=2)
    assert engine.manifest.precision == served
    file = int8 if served == "int8" else model
    assert engine.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_model_without_a_variant_is_served_as_it_is(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision_module, "has_byte_products", lambda: True)
    assert open_engine(model, "cpu", 1, cores=2).manifest.precision == "float32"
    with pytest.raises(ModelError, match=r"tiny\.int8\.onnx cannot be read"):
        open_engine(model, "cpu", 1, "int8", cores=2)


def test_the_variant_of_another_file_is_not_served(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision_module, "has_byte_products", lambda: True)
    write_variant(model, "0" * 64)
    assert open_engine(model, "cpu", 1, cores=2).manifest.precision == "float32"
    with pytest.raises(ModelError, match="was made of another file"):
        open_engine(model, "cpu", 1, "int8", cores=2)


@pytest.mark.parametrize(
    ("provider", "precision", "served"),
    [
        ("cuda", "auto", "float16"),
        ("tensorrt", "auto", "float16"),
        ("auto", "auto", "float16"),
        ("cpu", "auto", "int8"),
        ("cuda", "float16", "float16"),
        ("cuda", "float32", "float32"),
    ],
)
@pytest.mark.usefixtures("gpu")
def test_each_device_has_its_variant(
    model: Path, provider: Provider, precision: Precision, served: str
) -> None:
    write_variant(model, bits="float16")
    write_variant(model, bits="int8")
    assert open_engine(model, provider, 1, precision, cores=2).manifest.precision == served


@pytest.mark.parametrize(
    ("provider", "precision", "words"),
    [
        ("cpu", "float16", "float16 is for GPUs, but CPUExecutionProvider computes"),
        ("cuda", "int8", "int8 is for processors, but CUDAExecutionProvider computes"),
    ],
)
@pytest.mark.usefixtures("gpu")
def test_a_variant_for_another_device_is_refused(
    model: Path, provider: Provider, precision: Precision, words: str
) -> None:
    write_variant(model, bits="float16")
    write_variant(model, bits="int8")
    with pytest.raises(ModelError, match=words):
        open_engine(model, provider, 1, precision, cores=2)


@pytest.mark.usefixtures("gpu")
def test_a_gpu_takes_the_float32_file_where_there_is_no_variant_for_it(model: Path) -> None:
    write_variant(model, bits="int8")
    assert open_engine(model, "cuda", 1, cores=2).manifest.precision == "float32"
    assert open_engine(model, "auto", 1, cores=2).manifest.precision == "float32"
    write_variant(model, "0" * 64, bits="float16")
    assert open_engine(model, "cuda", 1, cores=2).manifest.precision == "float32"
    with pytest.raises(ModelError, match="was made of another file"):
        open_engine(model, "cuda", 1, "float16", cores=2)


def test_a_runtime_for_gpus_on_a_machine_without_one_computes_in_int8(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision_module, "may_be_gpu", lambda _: True)
    monkeypatch.setattr(precision_module, "has_byte_products", lambda: True)
    write_variant(model, bits="float16")
    write_variant(model, bits="int8")
    assert open_engine(model, "auto", 1, cores=2).manifest.precision == "int8"


def test_an_int8_file_can_be_named_itself(model: Path) -> None:
    int8 = write_variant(model)
    assert open_engine(int8, "cpu", 1, "int8", cores=2).manifest.precision == "int8"


def test_a_processor_is_known_by_its_flags(tmp_path: Path) -> None:
    flags = tmp_path / "cpuinfo"
    flags.write_text("flags\t\t: fpu sse4_2 avx2 avx512f avx512_vnni\n")
    assert has_byte_products(flags)
    flags.write_text("flags\t\t: fpu sse4_2 avx2 avx512f\n")
    assert not has_byte_products(flags)
    assert not has_byte_products(tmp_path / "absent")
