"""Precision variants: float32, or a file in fewer bits that this machine is quick at."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final, Literal

from solo.inference.engine import ModelError
from solo.inference.model_file import ModelFile
from solo.inference.onnx_engine import OnnxEngine
from solo.inference.providers import CPU, NOTHING_BESIDES, GpuOptions, Provider, may_be_gpu

Precision = Literal["auto", "float32", "float16", "int8"]
Bits = Literal["float16", "int8"]

_SUFFIXES: Final[dict[Bits, str]] = {"float16": ".fp16.onnx", "int8": ".int8.onnx"}
_CPU_INFO = Path("/proc/cpuinfo")
# Multiply and add bytes in one instruction; without, int8 is no faster than float32.
_BYTE_PRODUCTS = {"avx512_vnni", "avx_vnni", "asimddp"}

_logger = logging.getLogger(__name__)


def open_engine(
    path: Path,
    provider: Provider,
    max_batch: int,
    precision: Precision = "auto",
    gpu: GpuOptions = NOTHING_BESIDES,
    *,
    cores: int,
    key: Path | None = None,
) -> OnnxEngine:
    """Opens a model, or its variant in fewer bits if that is there and fits.

    Args:
        path: file written by `python -m export`. The variants of `model.onnx` are
            `model.fp16.onnx`, written by `python -m export.half`, and `model.int8.onnx`, by
            `export.quantize`. A variant may be named itself.
        provider: the setting.
        max_batch: the largest batch size.
        precision: `auto` takes the float16 variant where a GPU computes and the int8 variant where
            a processor does that has instructions for it; `float16` and `int8` take that variant
            or nothing; `float32` takes the file as it is.
        gpu: what is asked of a GPU besides.
        cores: processor cores that runs may use together.
        key: the public key that has to have signed each file that is opened; None asks for no
            signature.

    Raises:
        ModelError: if the model cannot be served, or a variant is asked for and there is none of
            this very file, or what computes is not what the variant is for.
    """
    file = ModelFile.read(path, key)
    open_file = partial(OnnxEngine, provider=provider, max_batch=max_batch, cores=cores, gpu=gpu)
    if precision in ("float32", file.manifest.precision):
        return open_file(file)
    if precision == "float16" or precision == "int8":
        engine = open_file(ModelFile.read(_variant(path, precision), key))
        if fault := _fault(engine, precision, file):
            raise ModelError(f"the precision is set to {precision}: {fault}")
        return engine
    for bits in _quick_here(provider):
        if _variant(path, bits).exists():
            engine = open_file(ModelFile.read(_variant(path, bits), key))
            fault = _fault(engine, bits, file)
            if fault is None:
                return engine
            fields = {"reason": fault, "sha256": engine.sha256}
            _logger.info("precision variant ignored", extra={"fields": fields})
    return open_file(file)


def has_byte_products(cpu_info: Path = _CPU_INFO) -> bool:
    """Whether this processor multiplies bytes; where nobody can tell, it does not."""
    try:
        return not _BYTE_PRODUCTS.isdisjoint(cpu_info.read_text().split())
    except OSError:
        return False


def _variant(path: Path, bits: Bits) -> Path:
    return path.with_suffix(_SUFFIXES[bits])


def _quick_here(provider: Provider) -> Iterator[Bits]:
    if may_be_gpu(provider):
        yield "float16"
    if provider in ("auto", "cpu") and has_byte_products():
        yield "int8"


def _fault(engine: OnnxEngine, bits: Bits, file: ModelFile) -> str | None:
    """The fault for which this variant must not answer for the file; None if it may."""
    if (engine.provider == CPU) != (bits == "int8"):
        device = "processors" if bits == "int8" else "GPUs"
        return f"{bits} is for {device}, but {engine.provider} computes"
    if engine.manifest.float32_sha256 != file.sha256:
        return f"{_variant(file.path, bits).name} was made of another file than {file.path.name}"
    return None
