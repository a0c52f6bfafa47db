"""Which of a model's two files runs: float32, or its int8 twin where a processor is quick at it."""

from __future__ import annotations

import logging
from pathlib import Path

from app.inference.engine import ModelError
from app.inference.onnx_engine import OnnxEngine
from app.journal import write
from app.settings import Precision, Provider

_CPU = "CPUExecutionProvider"
_CPU_INFO = Path("/proc/cpuinfo")
# Multiply and add bytes in one instruction; without, int8 is no faster than float32.
_BYTE_PRODUCTS = {"avx512_vnni", "avx_vnni", "asimddp"}

_logger = logging.getLogger(__name__)


def open_engine(
    path: Path, provider: Provider, max_batch: int, precision: Precision = "auto"
) -> OnnxEngine:
    """Opens a model, or its int8 twin if that is there and fits.

    Args:
        path: file written by `python -m export`. The twin of `model.onnx` is `model.int8.onnx`,
            written by `python -m export.quantize`.
        provider: the setting.
        max_batch: the largest batch size.
        precision: `auto` takes the twin where a processor computes that has instructions for it,
            `int8` on every processor, `float32` never.

    Raises:
        ModelError: if the model cannot be served, or `int8` is asked for and there is no twin of
            this very file, or no processor computes.
    """
    engine = OnnxEngine(path, provider, max_batch)
    if precision == "float32" or engine.manifest.precision == "int8":
        return engine
    twin = path.with_suffix(".int8.onnx")
    if precision == "auto" and not (
        engine.provider == _CPU and twin.exists() and has_byte_products()
    ):
        return engine
    if engine.provider != _CPU:
        raise ModelError(f"SOLO_PRECISION=int8 is for processors, but {engine.provider} computes")
    int8 = OnnxEngine(twin, provider, max_batch)
    if int8.manifest.float32_sha256 == engine.sha256:
        return int8
    if precision == "int8":
        raise ModelError(f"{twin} was made of another file than {path}")
    write(_logger, "int8 model ignored: it was made of another file", sha256=int8.sha256)
    return engine


def has_byte_products(cpu_info: Path = _CPU_INFO) -> bool:
    """Whether this processor multiplies bytes; where nobody can tell, it does not."""
    try:
        return not _BYTE_PRODUCTS.isdisjoint(cpu_info.read_text().split())
    except OSError:
        return False
