"""Self-test: a drawn image with a known answer tells a model that works from one that answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from solo.contract.instances import Instances
from solo.inference.engine import Engine, InferenceError

_LUNGS = ((0.5, 0.3), (0.5, 0.7))  # (row, column) of the centres, of the canvas
_LUNG_RADII = (0.3, 0.14)


def self_test_image(size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """A drawn chest: a bright body, two dark lungs, a shaded ground, no patient.

    Args:
        size: (height, width) in pixels.

    Returns:
        float32 [height, width] in [0, 1].
    """
    row, column = ((axis + 0.5) / side for axis, side in zip(np.indices(size), size, strict=True))
    image = 0.8 - 0.4 * (row - 0.5) ** 2 - 0.6 * (column - 0.5) ** 2
    for centre in _LUNGS:
        distance = ((row - centre[0]) / _LUNG_RADII[0]) ** 2
        distance += ((column - centre[1]) / _LUNG_RADII[1]) ** 2
        image -= 0.5 / (1 + distance**4)
    canvas: npt.NDArray[np.float32] = np.clip(image, 0, 1).astype(np.float32)
    return canvas


@dataclass(frozen=True)
class Tolerance:
    """Tolerance between two answers for one image.

    Attributes:
        overlap: least intersection over union of two masks of one object.
        score: largest difference of their scores.
    """

    overlap: float
    score: float


SAME_MODEL = Tolerance(overlap=0.9, score=0.05)
"""One model at two times, or in two batch sizes: the runtime may choose other kernels."""
OTHER_MODEL = Tolerance(overlap=0.5, score=1.0)
"""A model and its successor: they should see the same objects."""


@dataclass(frozen=True)
class SelfTest:
    """A model's answer for the self-test image, recorded when the model was warmed up."""

    engine: Engine
    instances: Instances

    @classmethod
    def record(cls, engine: Engine) -> SelfTest:
        """Runs the self-test image alone and as a full batch.

        Raises:
            InferenceError: if the answers differ, or tell nothing.
            Exception: whatever the runtime raises.
        """
        recorded = cls(engine, run_self_test(engine))
        masks = recorded.instances.masks
        if len(masks) and (masks.min((1, 2)) == masks.max((1, 2))).all():
            raise InferenceError("each mask of the self-test image is of one value")
        recorded.check(run_self_test(engine, engine.batch_sizes[-1]))
        return recorded

    def check(self, found: Instances, tolerance: Tolerance = SAME_MODEL) -> None:
        """Compares an answer for the self-test image with this one.

        Raises:
            InferenceError: if an object is missing or another one is there.
        """
        for expected, given in ((self.instances, found), (found, self.instances)):
            # What is near the threshold in one answer may be below it in the other.
            seen = expected.select(self.engine.manifest.score_threshold, len(expected))
            for index in range(len(seen)):
                if not _is_among(seen, index, given, tolerance):
                    raise InferenceError("the self-test image is answered otherwise than before")


def run_self_test(engine: Engine, count: int = 1) -> Instances:
    """The instances in the self-test image, the last of so many in one batch."""
    canvas = self_test_image(engine.manifest.canvas_size)
    return engine.run(np.repeat(canvas[None, None], count, axis=0))[-1].instances


def _is_among(seen: Instances, index: int, given: Instances, tolerance: Tolerance) -> bool:
    alike = (given.labels == seen.labels[index]) & (
        np.abs(given.scores - seen.scores[index]) <= tolerance.score
    )
    mask = seen.masks[index] > 127
    return any(_overlap(mask, other > 127) >= tolerance.overlap for other in given.masks[alike])


def _overlap(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_]) -> float:
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 1.0
