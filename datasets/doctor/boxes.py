"""Outlines that their bounding boxes contradict: in percent, of another image, or moved."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from datasets.doctor.findings import Finding
from model.data.coco import Annotation, CocoDataset, ImageRecord

Box = tuple[float, float, float, float]  # x, y, width, height
_ROUNDING = 2  # pixels between a box and its outline, which tools round by


def find_contradicted(data: CocoDataset) -> Iterator[Finding]:
    """Outlines far from the `bbox` that is given beside them: one of the two is wrong."""
    found = [
        (record, annotation, annotation.box)
        for record in data.images
        for annotation in record.annotations
        if annotation.box and _disagree(annotation.box, annotation.outline_box)
    ]
    if not found:
        return
    record, first, box = found[0]
    key = "without an id" if first.annotation_id is None else first.annotation_id
    more = f", as do those of {len(found) - 1} more" if len(found) > 1 else ""
    sentence = (
        f"The bbox of annotation {key} of image {record.image_id} and its outline disagree{more}: "
        f"{_rounded(box)} and {_rounded(first.outline_box)} (x, y, width, height)."
    )
    if not any(_disagree(given, _of_percent(one, image)) for image, one, given in found):
        sentence += " In percent of the image's size they agree, but COCO's are in pixels."
    yield Finding(sentence, tuple(dict.fromkeys(record.image_id for record, _, _ in found)))


def _disagree(one: Box, other: Box) -> bool:
    """Whether two boxes share less than half of their union, by more than rounding."""
    a, b = _corners(one), _corners(other)
    sides = np.minimum(a[1], b[1]) - np.maximum(a[0], b[0])
    shared = np.clip(sides, 0, None).prod()
    union = one[2] * one[3] + other[2] * other[3] - shared
    return bool(shared < union / 2 and np.abs(a - b).max() > _ROUNDING)


def _corners(box: Box) -> npt.NDArray[np.float64]:
    x, y, width, height = box
    return np.array([[x, y], [x + width, y + height]])


def _of_percent(annotation: Annotation, record: ImageRecord) -> Box:
    x, y, width, height = annotation.outline_box
    across, down = record.width / 100, record.height / 100
    return x * across, y * down, width * across, height * down


def _rounded(box: Box) -> str:
    return ", ".join(f"{side:g}" for side in np.round(box, 1).tolist())
