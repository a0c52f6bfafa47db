"""Makes the int8 twin of an exported model, for processors, if it is as good.

python -m export.quantize MODEL.onnx --films DIR [--fold K] --out MODEL.int8.onnx

Convolutions get 7-bit weights, one scale a channel, and 8-bit activations, whose ranges are seen on
real films (static quantisation, QDQ form). The first two convolutions stay in float32: they look at
the film itself, whose faint edges 256 steps do not hold. So do sums over masks and Matrix NMS.

With `--fold` the ranges come from the films that a network of that fold was trained on, and both
models are compared on the others; without, both happens on all films.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from export.onnx_export import write_model
from model.coco import CocoDataset, load_coco
from model.command import finish
from model.contract.instances import Instances
from model.contract.manifest import INPUT_NAME, OUTPUT_NAMES, Manifest
from model.contract.preprocess import Letterbox
from model.evaluate import measure
from model.evaluation.average_precision import Number
from model.evaluation.films import Prediction
from model.film import read_film
from model.split import split_by_patient

MOST_LOSS = 0.005
_CALIBRATION_FILMS = 64
_LEFT_IN_FLOAT = 2  # of the convolutions
# Activations are among them so that a convolution and its clipping become one operation.
_IN_INT8 = ("Conv", "Clip", "Relu")

Canvas = npt.NDArray[np.float32]
Figures = dict[str, Number]


class WorseError(RuntimeError):
    """The int8 model loses more than it may."""


def quantize(model: Path, films: list[Canvas]) -> onnx.ModelProto:
    """The model with its convolutions in int8, but for the first two.

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


def quality(model: bytes, data: CocoDataset) -> Figures:
    """AP, Dice and counts of an exported model on a data set, as `model.evaluate.measure`."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return measure(data, _predictions(session, data))


class _Films(CalibrationDataReader):  # type: ignore[misc]  # the library has no types
    def __init__(self, films: list[Canvas]) -> None:
        self._left = iter(films)

    def get_next(self) -> dict[str, Canvas] | None:
        film = next(self._left, None)
        return None if film is None else {INPUT_NAME: film[None, None]}


def _predictions(session: Any, data: CocoDataset) -> Iterator[Prediction]:  # noqa: ANN401
    manifest = Manifest.from_metadata(session.get_modelmeta().custom_metadata_map)
    labels_here = data.labels_of(manifest.class_names)
    for record in data.images:
        letterbox = Letterbox.fit((record.height, record.width), manifest.canvas_size)
        canvas = letterbox.apply(read_film(record))[None, None]
        scores, labels, masks = session.run(list(OUTPUT_NAMES), {INPUT_NAME: canvas})
        instances = Instances.from_outputs(scores[0], labels[0], masks[0]).relabelled(labels_here)
        yield record, instances, letterbox.restore(instances, manifest.mask_threshold)


def _manifest(model: bytes, path: Path) -> Manifest:
    try:
        properties = onnx.load_from_string(model).metadata_props
    except Exception as error:  # protobuf has errors of its own
        raise ValueError(f"{path} is no ONNX file, or a damaged one") from error
    return Manifest.from_metadata({entry.key: entry.value for entry in properties})


def _make(arguments: argparse.Namespace) -> None:
    if not arguments.out.parent.is_dir():
        raise FileNotFoundError(f"{arguments.out.parent} is not a folder")
    given = arguments.model.read_bytes()
    manifest = _manifest(given, arguments.model)
    if manifest.precision != "float32":
        raise ValueError(f"{arguments.model} is in {manifest.precision} already")
    seen = unseen = load_coco(arguments.films)
    if arguments.fold is not None:
        seen, unseen = split_by_patient(seen, arguments.fold, arguments.folds)
    step = max(1, len(seen.images) // _CALIBRATION_FILMS)
    films = [
        Letterbox.fit((record.height, record.width), manifest.canvas_size).apply(read_film(record))
        for record in seen.images[::step][:_CALIBRATION_FILMS]
    ]
    graph = quantize(arguments.model, films)
    twin = manifest.model_copy(
        update={"precision": "int8", "float32_sha256": hashlib.sha256(given).hexdigest()}
    )
    del graph.metadata_props[:]
    onnx.helper.set_model_props(graph, twin.to_metadata())
    before, after = quality(given, unseen), quality(graph.SerializeToString(), unseen)
    for name, figures in (("float32", before), ("int8", after)):
        said = ", ".join(f"{key} {value}" for key, value in figures.items())
        print(f"{name:<8} on {len(unseen.images)} films: {said}")  # noqa: T201
    if not before["ap"] or after["ap"] is None:
        raise ValueError("the model finds nothing right in these films: nothing to compare")
    lost = before["ap"] - after["ap"]
    if lost > arguments.most_loss:
        raise WorseError(f"AP falls by {lost:.3f}, and may by {arguments.most_loss:g}")
    write_model(graph, arguments.out)
    print(f"{arguments.out}: {arguments.out.stat().st_size / 1e6:.1f} MB")  # noqa: T201


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m export.quantize",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--films", type=Path, required=True, help="a COCO data set")
    parser.add_argument("--fold", type=int, help="the model was trained without this fold")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--most-loss", type=float, default=MOST_LOSS, help="of AP")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    logging.getLogger().setLevel(logging.ERROR)  # the library's advice on what is chosen here
    return finish(lambda: _make(arguments), WorseError, before="not written: ")


if __name__ == "__main__":
    raise SystemExit(main())
