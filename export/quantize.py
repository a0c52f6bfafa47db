"""Makes the int8 variant of an exported model, for CPUs, if it is as good.

python -m export.quantize MODEL.onnx --data DIR [--data DIR ...] [--fold K] --out MODEL.int8.onnx

Convolutions get 7-bit weights, one scale a channel, and 8-bit activations, whose ranges are seen on
real films (static quantisation, QDQ form). The first two convolutions stay in float32: they look at
the film itself, whose faint edges 256 steps do not hold. So do sums over masks and Matrix NMS.

With `--fold` the ranges come from the films that a network of that fold was trained on, and both
models are compared on the others; without, both happens on all films.
"""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from export.reduced_precision import variant_command
from model.data.coco import CocoDataset
from model.data.radiograph import read_radiograph
from solo.contract.letterbox import Letterbox
from solo.contract.manifest import INPUT_NAME, Manifest

_CALIBRATION_FILMS = 64
_LEFT_IN_FLOAT = 2  # of the convolutions
# Activations are among them so that a convolution and its clipping become one operation.
_IN_INT8 = ("Conv", "Clip", "Relu")

Canvas = npt.NDArray[np.float32]


def quantize(model: Path, films: list[Canvas]) -> onnx.ModelProto:
    """Static quantisation: all convolutions but the first two in int8.

    Args:
        model: file written by `python -m export`.
        films: float32 [H, W] each, real ones, letterboxed: the ranges of activations.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared, quantised = Path(folder, "prepared.onnx"), Path(folder, "int8.onnx")
        # Folds batch normalisation into convolutions; sizes are known without symbols.
        quant_pre_process(model, prepared, skip_symbolic_shape=True)
        nodes = onnx.load(prepared).graph.node
        first = [node for node in nodes if node.op_type == "Conv"][:_LEFT_IN_FLOAT]
        outputs = {node.output[0] for node in first}
        clipping = [node for node in nodes if node.input and node.input[0] in outputs]
        quantize_static(
            prepared,
            quantised,
            _Films(films),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            op_types_to_quantize=list(_IN_INT8),
            nodes_to_exclude=[node.name for node in (*first, *clipping)],
            reduce_range=True,  # 7 bits: sums of 8-bit products overflow on older processors
        )
        return onnx.load(quantised)


class _Films(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
    def __init__(self, films: list[Canvas]) -> None:
        self._left = iter(films)

    def get_next(self) -> dict[str, Canvas] | None:
        film = next(self._left, None)
        return None if film is None else {INPUT_NAME: film[None, None]}


def _convert(model: Path, manifest: Manifest, seen: CocoDataset) -> onnx.ModelProto:
    step = max(1, len(seen.images) // _CALIBRATION_FILMS)
    films = [
        Letterbox.fit((record.height, record.width), manifest.canvas_size).apply(
            read_radiograph(record)
        )
        for record in seen.images[::step][:_CALIBRATION_FILMS]
    ]
    return quantize(model, films)


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    logging.getLogger().setLevel(logging.ERROR)  # the library's advice on what is chosen here
    return variant_command(argv, "export.quantize", __doc__, "int8", _convert)


if __name__ == "__main__":
    raise SystemExit(main())
