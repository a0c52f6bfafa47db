"""TensorRT: options for the network itself, and the batch sizes that will come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime as ort

from solo.contract.manifest import INPUT_NAME
from solo.inference.engine import ModelError
from solo.inference.model_file import ModelFile

# What follows the network - scores, mask sums, Matrix NMS, the out-of-distribution score - hangs
# on these. Left to CUDA, it stays in float32, which TensorRT does not promise where float16 is
# allowed; and what is before is one engine whose only input is the film, so that the shapes below
# are all that it asks for.
_LEFT_TO_CUDA = (
    "TopK", "GatherElements", "GatherND", "Where", "And", "Or", "Mod",
    "ReduceSum", "ReduceMax", "ReduceMin", "Exp", "ReduceMean", "GlobalAveragePool",
    "ThresholdedRelu", "QuantizeLinear", "DequantizeLinear",
)  # fmt: skip
_SMALLEST_PART = 32  # nodes; what lies between those above is not worth an engine


def tensorrt_options(
    file: ModelFile, batch_sizes: tuple[int, ...], engine_cache: Path | None
) -> dict[str, Any]:
    """Options of ONNX Runtime's TensorRT provider.

    Args:
        file: the model.
        batch_sizes: ascending; one engine is built for them all and tuned for the largest.
        engine_cache: a folder where engines are kept, or None to build them at each start.

    Raises:
        ModelError: if that folder cannot be written to.
    """
    height, width = file.manifest.canvas_size
    least, most = (f"{INPUT_NAME}:{batch_sizes[end]}x1x{height}x{width}" for end in (0, -1))
    options = {
        "trt_fp16_enable": file.manifest.precision == "float16",
        "trt_profile_min_shapes": least,
        "trt_profile_opt_shapes": most,
        "trt_profile_max_shapes": most,
        "trt_op_types_to_exclude": ",".join(_LEFT_TO_CUDA),
        "trt_min_subgraph_size": _SMALLEST_PART,
    }
    return options if engine_cache is None else options | _cache_options(file, engine_cache)


def _cache_options(file: ModelFile, folder: Path) -> dict[str, Any]:
    # The provider tells GPUs apart by itself, but neither models of one name nor its own versions.
    engines = folder / f"{file.sha256[:16]}-onnxruntime-{ort.__version__}"
    try:
        engines.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(
            f"the engine cache {folder} cannot be written: {error.strerror}"
        ) from error
    return {
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": str(engines),
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": str(folder),
    }
