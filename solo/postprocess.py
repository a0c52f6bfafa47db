"""Post-processing: from the graph's soft masks to instances in the radiograph's own pixels."""

from __future__ import annotations

from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox
from solo.contract.manifest import Manifest
from solo.masks.rle import encode
from solo.masks.suppression import suppress
from solo.options import Options
from solo.result import Instance


def finds_nothing(instances: Instances, options: Options, manifest: Manifest) -> bool:
    """Whether no instance scores enough, so that there is nothing to do."""
    return bool((instances.scores < _score_threshold(options, manifest)).all())


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
    most = options.max_instances
    chosen = instances.select(_score_threshold(options, manifest), len(instances))
    if options.max_overlap is not None:
        chosen = suppress(chosen, options.max_overlap, manifest.mask_threshold)
    chosen = chosen.select(0, manifest.max_instances if most is None else most)
    letterbox = Letterbox.fit(image_size, manifest.canvas_size)
    masks = encode(chosen, letterbox, manifest.mask_threshold)
    return tuple(
        Instance(manifest.class_names[label], manifest.category_ids[label], score, runs)
        for label, score, runs in zip(
            chosen.labels.tolist(), chosen.scores.tolist(), masks, strict=True
        )
        if runs.area
    )


def _score_threshold(options: Options, manifest: Manifest) -> float:
    given = options.score_threshold
    return manifest.score_threshold if given is None else given
