"""Which execution providers to ask ONNX Runtime for."""

from __future__ import annotations

from typing import Any, Final

import onnxruntime as ort

from app.settings import Provider

ProviderList = list[str | tuple[str, dict[str, Any]]]

_CPU: Final = "CPUExecutionProvider"
_CUDA: Final = (
    "CUDAExecutionProvider",
    {
        # Only the shapes that were warmed will come, but a search of each would delay the start.
        "cudnn_conv_algo_search": "HEURISTIC",
        "arena_extend_strategy": "kSameAsRequested",
    },
)
_TENSORRT: Final = "TensorrtExecutionProvider"


def session_providers(provider: Provider) -> list[ProviderList]:
    """Lists of providers to try in turn; the first of each has to become active.

    Each list ends with the CPU, since a few nodes of any graph stay there.
    """
    if provider == "cpu":
        return [[_CPU]]
    compiled_in = ort.get_available_providers()
    if _CUDA[0] in compiled_in:
        ort.preload_dlls()  # finds the CUDA and cuDNN wheels, which are in no library path
    if provider == "tensorrt":
        return [[_TENSORRT, _CUDA, _CPU]]
    if provider == "cuda":
        return [[_CUDA, _CPU]]
    return [[_CUDA, _CPU], [_CPU]] if _CUDA[0] in compiled_in else [[_CPU]]
