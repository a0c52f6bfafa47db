"""Checks of a graph against its manifest, and of outputs against what a sound model answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from solo.contract.manifest import (
    INPUT_NAME,
    OUT_OF_DISTRIBUTION_NAME,
    OUTPUT_NAMES,
    Manifest,
)
from solo.inference.engine import InferenceError, ModelError

_ONNX_TYPES: dict[type[np.generic], str] = {
    np.float32: "tensor(float)",
    np.int64: "tensor(int64)",
    np.uint8: "tensor(uint8)",
}


@dataclass(frozen=True)
class ModelOutput:
    """An output of a graph.

    Attributes:
        name: of the tensor.
        dtype: of its values.
        row: its shape for one image.
    """

    name: str
    dtype: type[np.generic]
    row: tuple[int, ...]


def model_outputs(manifest: Manifest) -> list[ModelOutput]:
    """Scores, labels, masks and, where the model has it, the out-of-distribution output."""
    count = manifest.max_instances
    height, width = (-(-side // manifest.mask_stride) for side in manifest.canvas_size)
    scores, labels, masks = OUTPUT_NAMES
    outputs = [
        ModelOutput(scores, np.float32, (count,)),
        ModelOutput(labels, np.int64, (count,)),
        ModelOutput(masks, np.uint8, (count, height, width)),
    ]
    if manifest.out_of_distribution is not None:
        outputs.append(ModelOutput(OUT_OF_DISTRIBUTION_NAME, np.float32, ()))
    return outputs


def check_graph(session: Any, manifest: Manifest, path: Path) -> None:  # noqa: ANN401
    """Compares the graph's signature with the manifest; symbolic sizes are left to the warm-up.

    Raises:
        ModelError: if they differ, or the batch size is fixed.
    """
    row: tuple[int, ...] = (1, *manifest.canvas_size)
    signature = [ModelOutput(INPUT_NAME, np.float32, row), *model_outputs(manifest)]
    expected = {node.name: (_ONNX_TYPES[node.dtype], node.row) for node in signature}
    found = {
        node.name: (node.type, tuple(node.shape))
        for node in (*session.get_inputs(), *session.get_outputs())
    }
    if found.keys() != expected.keys():
        raise ModelError(
            f"{path}: the graph has {sorted(found)}, but the manifest means {sorted(expected)}"
        )
    for name, (kind, row) in expected.items():
        found_kind, (batch, *found_row) = found[name][0], found[name][1] or (None,)
        fits = len(found_row) == len(row) and all(
            size == want for size, want in zip(found_row, row, strict=True) if isinstance(size, int)
        )
        if found_kind != kind or not fits:
            raise ModelError(
                f"{path}: '{name}' is {found_kind} {[batch, *found_row]}, but the manifest means "
                f"{kind} {['N', *row]}"
            )
        if isinstance(batch, int):
            raise ModelError(f"{path}: '{name}' has a fixed batch size of {batch}")


def check_outputs(
    images: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    masks: npt.NDArray[np.uint8],
    classes: int,
    out_of_distribution: npt.NDArray[np.float32] | None = None,
) -> None:
    """Refuses what no sound model answers.

    Args:
        images: float32 [N, 1, H, W].
        scores: float32 [N, K], probabilities in descending order.
        labels: int64 [N, K], below `classes`; -1 exactly where the score is 0.
        masks: uint8 [N, K, h, w].
        classes: number of classes.
        out_of_distribution: float32 [N], 0 or above; None where there is no such output.

    Raises:
        InferenceError: for values beyond these, and for one answer to different images.
    """
    if not np.isfinite(scores).all():
        raise InferenceError("the model answered with scores that are not finite")
    if scores.min(initial=0) < 0 or scores.max(initial=0) > 1 or (np.diff(scores) > 0).any():
        raise InferenceError("the model answered with scores that are not falling from 1 to 0")
    if labels.min(initial=-1) < -1 or labels.max(initial=-1) >= classes:
        raise InferenceError("the model answered with a label that has no name")
    if ((labels < 0) != (scores == 0)).any():
        raise InferenceError("the model answered with scores where there is no instance")
    far = out_of_distribution
    if far is not None and not (np.isfinite(far) & (far >= 0)).all():
        raise InferenceError("the model's out-of-distribution score is negative or not finite")
    # A device that repeats its last answer passes every other check.
    for one in range(len(images) - 1):
        same = scores[one, 0] > 0 and (scores[one] == scores[one + 1]).all()
        if same and (masks[one] == masks[one + 1]).all() and (images[one] != images[one + 1]).any():
            raise InferenceError("the model gave different images one answer")
