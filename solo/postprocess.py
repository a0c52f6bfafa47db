"""Post-processing: from the graph's soft masks to instances in the radiograph's own pixels."""

from __future__ import annotations

import numpy as np

from solo.contract.instances import Instances, inside
from solo.contract.letterbox import Letterbox
from solo.contract.manifest import Manifest
from solo.masks.islands import remove_islands
from solo.masks.rle import encode
from solo.masks.uncertainty import outline_uncertainty
from solo.options import Options
from solo.result import Instance


def finds_nothing(instances: Instances, options: Options, manifest: Manifest) -> bool:
    """Whether no instance scores enough, so that there is nothing to do."""
    best = instances.scores[0] if len(instances) else -1.0
    return bool(best < _score_threshold(options, manifest))


def native_instances(
    instances: Instances, image_size: tuple[int, int], options: Options, manifest: Manifest
) -> tuple[Instance, ...]:
    """The instances that the options ask for, at native size; those without a pixel are left out.

    Args:
        instances: of the graph, soft masks over the canvas.
        image_size: (height, width) of the radiograph.
        options: what they leave open is the model's.
        manifest: of the model.
    """
    most, threshold = options.max_instances, manifest.mask_threshold
    chosen = instances.select(_score_threshold(options, manifest), len(instances))
    # Before all else, so that suppression compares the masks that the answer has.
    cleared = remove_islands(chosen.masks, manifest.island_pixels, threshold)
    chosen = Instances(cleared, chosen.labels, chosen.scores)
    if options.max_overlap is not None:
        chosen = suppress(chosen, options.max_overlap, threshold)
    chosen = chosen.select(0, manifest.max_instances if most is None else most)
    letterbox = Letterbox.fit(image_size, manifest.canvas_size)
    rows, columns = letterbox.window(chosen.masks.shape[1:])
    doubts = outline_uncertainty(chosen.masks[:, rows, columns], threshold).round(3)
    masks = encode(chosen, letterbox, threshold)
    return tuple(
        Instance(manifest.class_names[label], manifest.category_ids[label], score, runs, doubt)
        for label, score, runs, doubt in zip(
            chosen.labels.tolist(), chosen.scores.tolist(), masks, doubts.tolist(), strict=True
        )
        if runs.area
    )


def suppress(instances: Instances, max_overlap: float, mask_threshold: float) -> Instances:
    """Class-agnostic suppression, for those who want each object once, whatever it is called.

    Drops each instance that overlaps a better one that is kept, of whatever class. The model's own
    suppression (Matrix NMS) compares masks of one class only.

    Args:
        instances: best first.
        max_overlap: largest intersection over union of two masks that are both kept, in [0, 1].
        mask_threshold: a pixel of the soft mask belongs to it above this probability.

    Returns:
        Those that are kept, in order.
    """
    count, height, width = instances.masks.shape
    drawn = inside(instances.masks, mask_threshold)
    masks = drawn.reshape(count, height * width).astype(np.float32)
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


def _score_threshold(options: Options, manifest: Manifest) -> float:
    given = options.score_threshold
    return manifest.score_threshold if given is None else given
