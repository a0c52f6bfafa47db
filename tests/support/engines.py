"""Models for tests: a tiny graph of the contract's signature, and an engine made of Python."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from solo.contract.instances import Instances
from solo.contract.manifest import INPUT_NAME, OUT_OF_DISTRIBUTION_NAME, Manifest
from solo.inference.engine import Prediction
from solo.inference.self_test import self_test_image

CANVAS = (64, 64)
STRIDE = 4
_RECORDING_RUNS = 2  # of the self-test image, at warm-up
SLOTS = 3  # two instances and an empty slot


def manifest(**changes: object) -> Manifest:
    """The tiny model's manifest."""
    fields: dict[str, object] = {
        "name": "tiny",
        "version": "1",
        "variant": "none",
        "backbone": "none",
        "class_names": ("bright", "dark"),
        "category_ids": (1, 7),
        "canvas_size": CANVAS,
        "mask_stride": STRIDE,
        "max_instances": SLOTS,
        "score_threshold": 0.1,
        "mask_threshold": 0.5,
        "training_data": "none",
        "licence": "none",
        "attribution": "none",
        "metrics": {"ap": 0.5},
        "metrics_on": "nothing",
        "weights_sha256": "0" * 64,
        "source_revision": "none",
        "opset": 18,
    }
    return Manifest.model_validate(fields | changes)


def fitted(median_score: float = 0.4, **changes: object) -> Manifest:
    """The manifest of a tiny model with an out-of-distribution output."""
    fit = {
        "films": 90,
        "patients": 80,
        "limit": 0.2,
        "median_score": median_score,
        "auroc": {"turned": 0.99},
    }
    return manifest(out_of_distribution=fit, **changes)


def expected_distance(mean_grey: float) -> float:
    """The out-of-distribution score of a tiny model that has one: bright films are flagged."""
    return 2 * mean_grey


def expected_scores(mean_grey: float) -> tuple[float, float]:
    """The tiny model's two scores for a canvas of this mean."""
    return 0.5 + 0.5 * mean_grey, 0.25 + 0.25 * mean_grey


def write_tiny_model(
    path: Path,
    document: Manifest | None = None,
    *,
    fixed: bool = False,
    tells_distance: bool | None = None,
) -> Path:
    """Writes a graph that finds the bright and the dark part of its image.

    Its scores are those of `expected_scores`, so that an answer tells which image it belongs to.

    Args:
        path: where to.
        document: manifest to put in, or None for none at all.
        fixed: whether the batch size is fixed at 1.
        tells_distance: whether it has the output of `expected_distance`; None if the manifest has.
    """
    if tells_distance is None:
        tells_distance = document is not None and document.out_of_distribution is not None
    height, width = CANVAS
    batch: int | str = 1 if fixed else "N"
    small = (height // STRIDE, width // STRIDE)
    constants: dict[str, npt.NDArray[np.float32] | npt.NDArray[np.int64]] = {
        "offsets": np.array([[0.5, 0.25, 0]], np.float32),
        "factors": np.array([[0.5, 0.25, 0]], np.float32),
        "label_offsets": np.array([[0, 1, -1]], np.float32),
        "nothing": np.array(0, np.float32),
        "white": np.array(255, np.float32),
        "two": np.array(2, np.float32),
        "canvas_axes": np.array([1, 2, 3], np.int64),
        "last_axis": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("ReduceMean", [INPUT_NAME, "canvas_axes"], ["mean"], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "last_axis"], ["column"]),
        helper.make_node("Mul", ["column", "factors"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offsets"], ["scores"]),
        helper.make_node("Mul", ["scores", "nothing"], ["zeros"]),
        helper.make_node("Add", ["zeros", "label_offsets"], ["float_labels"]),
        helper.make_node("Cast", ["float_labels"], ["labels"], to=TensorProto.INT64),
        helper.make_node(
            "AveragePool", [INPUT_NAME], ["small"], kernel_shape=[STRIDE] * 2, strides=[STRIDE] * 2
        ),
        helper.make_node("Mul", ["small", "white"], ["bright"]),
        helper.make_node("Sub", ["white", "bright"], ["dark"]),
        helper.make_node("Mul", ["small", "nothing"], ["none"]),
        helper.make_node("Concat", ["bright", "dark", "none"], ["stacked"], axis=1),
        helper.make_node("Cast", ["stacked"], ["masks"], to=TensorProto.UINT8),
    ]
    outputs = [
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [batch, SLOTS]),
        helper.make_tensor_value_info("labels", TensorProto.INT64, [batch, SLOTS]),
        helper.make_tensor_value_info("masks", TensorProto.UINT8, [batch, SLOTS, *small]),
    ]
    if tells_distance:
        name = OUT_OF_DISTRIBUTION_NAME
        nodes.append(helper.make_node("Mul", ["mean", "two"], [name]))
        outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, [batch, 1, height, width])],
        outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx_model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    if document is not None:
        helper.set_model_props(onnx_model, document.to_metadata())
    onnx.save(onnx_model, path)
    return path


class FakeEngine:
    """An engine whose answer carries the mean of its image; see `expected_scores`.

    A run takes 10 ms and 2 ms for each image by `clock`, which stands still otherwise.

    Args:
        before: called in the model's thread with each batch, to block or to fail.
        max_batch: the largest batch size.
        before_self_test: the same for the self-test image, once the model is warm.
        document: its manifest; `fitted` has an engine answer with `expected_distance` too.

    Attributes:
        batches: images of each run, but for those of the self-test image.
        self_test_runs: how often the self-test image was run.
        sessions: how often the engine was started anew.
    """

    def __init__(
        self,
        before: Callable[[npt.NDArray[np.float32]], None] = lambda _: None,
        max_batch: int = 4,
        before_self_test: Callable[[], None] = lambda: None,
        document: Manifest | None = None,
    ) -> None:
        self.manifest = document or manifest()
        self.sha256 = "f" * 64
        self.provider = "FakeExecutionProvider"
        self.batch_sizes = tuple(range(1, max_batch + 1))
        self.runs_at_once = 1
        self.batches: list[int] = []
        self.self_test_runs = 0
        self.sessions = 0
        self._before, self._before_self_test = before, before_self_test
        self._self_test_image = self_test_image(CANVAS)
        self._seconds = 0.0

    def clock(self) -> float:
        return self._seconds

    def warm_up(self) -> dict[int, float]:
        return {size: self.run_seconds(size) for size in self.batch_sizes}

    def reopen(self) -> None:
        self.sessions += 1

    @staticmethod
    def run_seconds(images: int) -> float:
        return 0.010 + 0.002 * images

    def run(self, images: npt.NDArray[np.float32]) -> list[Prediction]:
        if (images == self._self_test_image).all():
            self.self_test_runs += 1
            if self.self_test_runs > _RECORDING_RUNS:
                self._before_self_test()
        else:
            self.batches.append(len(images))
            self._before(images)
        self._seconds += self.run_seconds(len(images))
        tells = self.manifest.out_of_distribution is not None
        return [
            Prediction(
                _instances(image[0]), expected_distance(float(image.mean())) if tells else None
            )
            for image in images
        ]


def _instances(canvas: npt.NDArray[np.float32]) -> Instances:
    small = canvas.reshape(CANVAS[0] // STRIDE, STRIDE, CANVAS[1] // STRIDE, STRIDE).mean((1, 3))
    bright = (small * 255).astype(np.uint8)
    return Instances(
        np.stack([bright, 255 - bright]),
        np.array([0, 1], np.int64),
        np.array(expected_scores(float(canvas.mean())), np.float32),
    )
