"""Checks of a graph against its manifest, and of outputs against what a sound model answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from solo.contract.manifest import INPUT_NAME, OUTPUT_NAMES, Manifest
from solo.inference.engine import InferenceError, ModelError

_OUTPUT_TYPES = {"scores": "tensor(float)", "labels": "tensor(int64)", "masks": "tensor(uint8)"}


def check_graph(session: Any, manifest: Manifest, path: Path) -> None:  # noqa: ANN401
    """Compares the graph's signature with the manifest; symbolic sizes are left to the warm-up.

    Raises:
        ModelError: if they differ, or the batch size is fixed.
    """
    shapes = dict(zip(OUTPUT_NAMES, row_shapes(manifest), strict=True))
    expected = {
        INPUT_NAME: ("tensor(float)", (1, *manifest.canvas_size)),
        **{name: (_OUTPUT_TYPES[name], shape) for name, shape in shapes.items()},
    }
    found = {
        node.name: (node.type, tuple(node.shape))
        for node in (*session.get_inputs(), *session.get_outputs())
    }
    if found.keys() != expected.keys():
        raise ModelError(f"{path}: the graph has {sorted(found)}, but needs {sorted(expected)}")
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


def row_shapes(manifest: Manifest) -> list[tuple[int, ...]]:
    """Shapes of scores, labels and masks for one image."""
    count = manifest.max_instances
    height, width = (-(-side // manifest.mask_stride) for side in manifest.canvas_size)
    return [(count,), (count,), (count, height, width)]


def check_outputs(
    images: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    masks: npt.NDArray[np.uint8],
    classes: int,
) -> None:
    """Refuses what no sound model answers.

    Args:
        images: float32 [N, 1, H, W].
        scores: float32 [N, K], probabilities in descending order.
        labels: int64 [N, K], below `classes`; -1 exactly where the score is 0.
        masks: uint8 [N, K, h, w].
        classes: number of classes.

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
    # A device that repeats its last answer passes every other check.
    for one in range(len(images) - 1):
        same = scores[one, 0] > 0 and (scores[one] == scores[one + 1]).all()
        if same and (masks[one] == masks[one + 1]).all() and (images[one] != images[one + 1]).any():
            raise InferenceError("the model gave different images one answer")
