"""What ONNX Runtime is asked for on a GPU, where there is none to ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort
import pytest

from solo.inference.engine import DeviceMemoryError, ModelError
from solo.inference.model_file import ModelFile
from solo.inference.onnx_engine import OnnxEngine
from solo.inference.providers import (
    GpuOptions,
    Provider,
    ProviderList,
    cuda_options,
    may_be_gpu,
    session_providers,
)
from solo.inference.session import open_session
from solo.inference.tensorrt import tensorrt_options
from tests.support.engines import manifest, write_tiny_model

MODEL = Path(__file__).parents[4] / "model/zoo/cxr-lungs.onnx"
CPU, CUDA, TENSORRT = "CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"


@pytest.fixture
def file(tmp_path: Path) -> ModelFile:
    return ModelFile.read(write_tiny_model(tmp_path / "tiny.onnx", manifest()))


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An ONNX Runtime that was built for GPUs; the list grows when CUDA's libraries are loaded."""
    calls: list[str] = []
    monkeypatch.setattr(ort, "get_available_providers", lambda: [TENSORRT, CUDA, CPU])
    monkeypatch.setattr(ort, "preload_dlls", lambda: calls.append("loaded"))
    return calls


def names(lists: list[ProviderList]) -> list[list[str]]:
    return [[one if isinstance(one, str) else one[0] for one in each] for each in lists]


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ("cpu", [[CPU]]),
        ("cuda", [[CUDA, CPU]]),
        ("tensorrt", [[TENSORRT, CUDA, CPU]]),
        ("auto", [[CUDA, CPU], [CPU]]),
    ],
)
def test_each_setting_has_its_providers(
    provider: Provider, expected: list[list[str]], loaded: list[str]
) -> None:
    found = session_providers(provider, {"c": 1}, {"t": 2})
    assert names(found) == expected
    given = [one for each in found for one in each if not isinstance(one, str)]
    assert all(options == ({"c": 1} if name == CUDA else {"t": 2}) for name, options in given)
    assert loaded == ([] if provider == "cpu" else ["loaded"])
    assert may_be_gpu(provider) == (provider != "cpu")


def test_a_runtime_for_processors_is_asked_for_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ort, "get_available_providers", lambda: [CPU])
    assert session_providers("auto", {}, {}) == [[CPU]]
    assert not may_be_gpu("auto")
    assert may_be_gpu("cuda")  # asked for, so that it is refused in plain words


def test_graphs_are_recorded_only_where_they_are_asked_for() -> None:
    plain, graphs = cuda_options(GpuOptions()), cuda_options(GpuOptions(cuda_graphs=True))
    assert plain["arena_extend_strategy"] == "kSameAsRequested"
    assert plain["use_tf32"] == "0"
    assert "enable_cuda_graph" not in plain
    assert graphs == plain | {"enable_cuda_graph": "1"}


def test_tensorrt_is_told_of_all_batch_sizes(file: ModelFile) -> None:
    options = tensorrt_options(file, (1, 2, 6), None)
    assert options["trt_profile_min_shapes"] == "images:1x1x64x64"
    assert options["trt_profile_opt_shapes"] == "images:6x1x64x64"
    assert options["trt_profile_max_shapes"] == "images:6x1x64x64"
    assert options["trt_fp16_enable"] is False
    assert "ReduceSum" in options["trt_op_types_to_exclude"].split(",")
    assert not [name for name in options if "cache" in name]


def test_tensorrt_computes_in_half_only_what_is_in_half(tmp_path: Path) -> None:
    document = manifest(precision="float16", float32_sha256="0" * 64)
    half = ModelFile.read(write_tiny_model(tmp_path / "tiny.fp16.onnx", document))
    assert tensorrt_options(half, (1,), None)["trt_fp16_enable"] is True


def test_tensorrt_gets_the_network_in_one_piece_and_nothing_of_what_follows() -> None:
    options = tensorrt_options(ModelFile.read(MODEL), (1,), None)
    left_out = options["trt_op_types_to_exclude"].split(",")
    nodes = onnx.load(MODEL).graph.node
    after: set[str] = set()  # tensors that hang on what is left out
    piece_of: dict[str, list[str]] = {}  # by tensor: operations joined to it without these
    for node in nodes:
        assert not (node.op_type == "Conv" and after.intersection(node.input))
        if node.op_type in left_out:
            after.update(node.output)
        elif after.intersection(node.input):
            after.update(node.output)
            pieces = [piece_of[name] for name in node.input if name in piece_of]
            joined = list({id(piece): piece for piece in pieces}.values())
            piece = [node.op_type, *(one for piece in joined for one in piece)]
            members = [name for name, other in piece_of.items() if any(other is j for j in joined)]
            piece_of.update(dict.fromkeys([*members, *node.output], piece))
    largest = max(map(len, piece_of.values()))
    assert 10 < largest < options["trt_min_subgraph_size"]
    assert len(nodes) - len(after) > 2 * options["trt_min_subgraph_size"]


def test_engines_are_kept_apart_by_model_and_version(tmp_path: Path, file: ModelFile) -> None:
    options = tensorrt_options(file, (1,), tmp_path / "engines")
    kept = Path(options["trt_engine_cache_path"])
    assert kept.is_dir()
    assert kept.parent == tmp_path / "engines"
    assert file.sha256[:16] in kept.name
    assert ort.__version__ in kept.name
    assert options["trt_timing_cache_path"] == str(tmp_path / "engines")
    assert options["trt_engine_cache_enable"] is options["trt_timing_cache_enable"] is True


def test_a_folder_that_cannot_be_made_stops_the_start(tmp_path: Path, file: ModelFile) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"the engine cache .*: Not a directory"):
        tensorrt_options(file, (1,), tmp_path / "file" / "engines")


def test_a_model_that_cannot_be_recorded_is_refused_in_plain_words(
    file: ModelFile, loaded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("This session cannot use the graph capture feature as requested")

    monkeypatch.setattr(ort, "InferenceSession", refuse)
    with pytest.raises(ModelError, match="CUDA graphs are asked for, but not all of this model's"):
        open_session(b"", file.path, "cuda", session_providers("cuda", {}, {}), cores=2)


@pytest.mark.parametrize(
    "words",
    [
        "CUDA failure 2: out of memory ; GPU=0",
        "BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 9",
        "Available memory of 0 is smaller than requested bytes of 268435456",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
        "CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "Error Code 2: OutOfMemory (Requested size was 4194304 bytes.)",
    ],
)
def test_short_memory_is_known_by_its_words(
    file: ModelFile, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = OnnxEngine(file, "cpu", 1, cores=2)

    def fail(_: object) -> None:
        raise RuntimeError(words)

    monkeypatch.setattr(engine, "_compute", fail)
    with pytest.raises(DeviceMemoryError, match="no memory for a batch of 1"):
        engine.warm_up()
