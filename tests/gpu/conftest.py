"""The GPU that these tests are for. `make test-gpu` runs them with the runtime that has CUDA."""

from __future__ import annotations

import ctypes

import onnxruntime as ort
import pytest


def missing() -> str | None:
    """What is missing here to compute on a GPU; None where nothing is."""
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return "this ONNX Runtime was built without CUDA"
    try:
        status = ctypes.CDLL("libcuda.so.1").cuInit(0)
    except OSError:
        return "there is no NVIDIA driver"
    # Where there is a GPU, whatever does not work is a fault.
    return None if status == 0 else f"the NVIDIA driver finds no GPU (cuInit: {status})"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = missing()
    for item in items:
        if item.get_closest_marker("gpu") and reason is not None:
            item.add_marker(pytest.mark.skip(reason=reason))
