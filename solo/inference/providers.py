"""Execution providers of ONNX Runtime and their options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import onnxruntime as ort

Provider = Literal["auto", "cpu", "cuda", "tensorrt"]
"""`auto` takes CUDA where it really becomes active, else the CPU."""
ProviderList = list[str | tuple[str, dict[str, Any]]]

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
TENSORRT: Final = "TensorrtExecutionProvider"


@dataclass(frozen=True)
class GpuOptions:
    """Options for a GPU.

    Attributes:
        cuda_graphs: whether each batch size is recorded as a CUDA graph and replayed.
        engine_cache: folder in which TensorRT keeps the engines that it built; None keeps none.
    """

    cuda_graphs: bool = False
    engine_cache: Path | None = None


NOTHING_BESIDES: Final = GpuOptions()


def may_be_gpu(provider: Provider) -> bool:
    """Whether this setting lets a GPU compute, if there is one."""
    return provider in ("cuda", "tensorrt") or (provider == "auto" and _has_cuda())


def session_providers(
    provider: Provider, cuda: dict[str, Any], tensorrt: dict[str, Any]
) -> list[ProviderList]:
    """Lists of providers to try in turn; the first of each has to become active.

    Each list ends with the CPU, since a few nodes of any graph stay there.

    Args:
        provider: the setting.
        cuda: options of the CUDA provider.
        tensorrt: options of the TensorRT provider.
    """
    if provider == "cpu":
        return [[CPU]]
    if _has_cuda():
        ort.preload_dlls()  # finds the CUDA and cuDNN wheels, which are in no library path
    if provider == "tensorrt":
        return [[(TENSORRT, tensorrt), (CUDA, cuda), CPU]]
    if provider == "cuda":
        return [[(CUDA, cuda), CPU]]
    return [[(CUDA, cuda), CPU], [CPU]] if _has_cuda() else [[CPU]]


def cuda_options(gpu: GpuOptions) -> dict[str, Any]:
    """Options of ONNX Runtime's CUDA provider."""
    options = {
        # Only the shapes that were warmed will come, but a search of each would delay the start.
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
        "use_tf32": "0",  # float32 means 24 bits; who wants fewer has the float16 variant
    }
    return options | {"enable_cuda_graph": "1"} if gpu.cuda_graphs else options


def _has_cuda() -> bool:
    return CUDA in ort.get_available_providers()
