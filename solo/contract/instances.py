"""Instances: masks, labels and scores that a model finds in one image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Instances:
    """The instances found in one image, best first.

    Attributes:
        masks: uint8 [N, h, w], soft masks times 255 on the canvas at the model's mask stride.
        labels: int64 [N], indices into the manifest's class names, 0 or above.
        scores: float32 [N] in (0, 1], descending.

    Raises:
        ValueError: where the three do not fit together.
    """

    masks: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.masks.ndim != 3 or self.masks.dtype != np.uint8:
            raise ValueError(f"masks must be uint8 [N, h, w], not {_describe(self.masks)}")
        if self.labels.shape != (len(self.masks),):
            raise ValueError(f"labels must be [{len(self.masks)}], not {_describe(self.labels)}")
        if self.scores.shape != (len(self.masks),):
            raise ValueError(f"scores must be [{len(self.masks)}], not {_describe(self.scores)}")

    def __len__(self) -> int:
        return len(self.masks)

    def select(self, score_threshold: float, max_instances: int) -> Instances:
        """The first `max_instances` of those that score at least `score_threshold`."""
        keep = np.flatnonzero(self.scores >= score_threshold)[:max_instances]
        return Instances(self.masks[keep], self.labels[keep], self.scores[keep])

    def relabelled(self, labels: npt.NDArray[np.int64]) -> Instances:
        """The same instances with labels that index other class names.

        Args:
            labels: int64 [C], the new label of each old one.
        """
        return Instances(self.masks, labels[self.labels], self.scores)

    @classmethod
    def from_outputs(
        cls,
        scores: npt.NDArray[np.float32],
        labels: npt.NDArray[np.int64],
        masks: npt.NDArray[np.uint8],
    ) -> Instances:
        """The instances in one image's row of the graph's outputs.

        Args:
            scores: float32 [K], 0 where there is no instance.
            labels: int64 [K], -1 where there is no instance.
            masks: uint8 [K, h, w].
        """
        found = labels >= 0
        return cls(masks[found], labels[found], scores[found])


def inside(masks: npt.NDArray[np.uint8], mask_threshold: float) -> npt.NDArray[np.bool_]:
    """Which pixels of soft masks belong to them: bool, true above the threshold.

    Args:
        masks: uint8, probabilities times 255.
        mask_threshold: a probability.
    """
    return masks > np.uint8(np.float32(255 * mask_threshold))  # whole numbers, so all is exact


def _describe(array: npt.NDArray[np.generic]) -> str:
    return f"{array.dtype} {list(array.shape)}"
