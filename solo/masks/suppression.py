"""Class-agnostic suppression, for those who want each object once, whatever it is called."""

from __future__ import annotations

import numpy as np

from solo.contract.instances import Instances


def suppress(instances: Instances, max_overlap: float, mask_threshold: float) -> Instances:
    """Drops each instance that overlaps a better one that is kept, of whatever class.

    The model's own suppression (Matrix NMS) compares masks of one class only.

    Args:
        instances: best first.
        max_overlap: largest intersection over union of two masks that are both kept, in [0, 1].
        mask_threshold: a pixel of the soft mask belongs to it above this probability.

    Returns:
        Those that are kept, in order.
    """
    count, height, width = instances.masks.shape
    inside = instances.masks > 255 * mask_threshold
    masks = inside.reshape(count, height * width).astype(np.float32)
    shared = masks @ masks.T
    areas = np.diag(shared)
    union = areas[:, None] + areas[None, :] - shared
    overlap = shared / np.maximum(union, 1)
    kept: list[int] = []
    for index in range(count):
        if not kept or overlap[index, kept].max() <= max_overlap:
            kept.append(index)
    rows = np.array(kept, np.int64)
    return Instances(instances.masks[rows], instances.labels[rows], instances.scores[rows])
