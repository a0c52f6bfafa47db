"""The same answers with the libraries alone, as one would write them first."""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pydicom
from pycocotools import mask as coco_mask
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from benchmarks.processor_time import seconds
from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox
from solo.contract.manifest import INPUT_NAME, OUTPUT_NAMES, Manifest
from solo.masks.rle import encode


def plain_answer(film: bytes, session: ort.InferenceSession, manifest: Manifest) -> list[bytes]:
    """Run lengths of the two best instances in an uncompressed DICOM film with a window."""
    dataset = pydicom.dcmread(io.BytesIO(film))
    values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
    grey = ((values - values.min()) / (values.max() - values.min())).astype(np.float32)
    letterbox = Letterbox.fit((grey.shape[0], grey.shape[1]), manifest.canvas_size)
    canvas = np.zeros(manifest.canvas_size, np.float32)
    inside = cv2.resize(grey, (letterbox.width, letterbox.height), interpolation=cv2.INTER_AREA)
    top, left = letterbox.top, letterbox.left
    canvas[top : top + letterbox.height, left : left + letterbox.width] = inside
    scores, labels, masks = session.run(list(OUTPUT_NAMES), {INPUT_NAME: canvas[None, None]})
    found = Instances.from_outputs(scores[0], labels[0], masks[0]).select(0.0, 2)
    return plain_masks(found, letterbox, manifest.mask_threshold)


def plain_masks(found: Instances, letterbox: Letterbox, threshold: float) -> list[bytes]:
    """Each mask resized to the film's size, cut at the threshold and encoded."""
    binary = letterbox.restore(found, threshold)
    return [coco_mask.encode(np.asfortranarray(mask))["counts"] for mask in binary]


def best_plain_masks(found: Instances, letterbox: Letterbox, threshold: float) -> list[bytes]:
    """The same without waste: only around the object, and transposed, as the encoder wants it."""
    height, width = letterbox.image_size
    counts = []
    for soft in letterbox.content(found.masks):
        rows, columns = _extent(soft > 255 * threshold)
        down, across = height / soft.shape[0], width / soft.shape[1]
        # Whole pixels on both sides, so that the part is scaled like the whole.
        top, left = int(rows.start * down), int(columns.start * across)
        part = np.ascontiguousarray(soft[rows, columns].T)
        size = round(part.shape[1] * down), round(part.shape[0] * across)
        native = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR) > 255 * threshold
        whole = np.zeros((width, height), np.uint8)
        fits = native[: width - left, : height - top]
        whole[left : left + fits.shape[0], top : top + fits.shape[1]] = fits
        counts.append(coco_mask.encode(whole.T)["counts"])
    return counts


@dataclass(frozen=True)
class MaskTimes:
    """Processor seconds for the same masks, by three ways."""

    ours: float
    plain: float
    best: float


def time_masks(image_size: tuple[int, int] = (3000, 2500), count: int = 20) -> MaskTimes:
    """Times so many masks of the size of lungs at a film's size."""
    letterbox = Letterbox.fit(image_size, (256, 256))
    found = lungs(count)
    return MaskTimes(
        ours=seconds(lambda: [runs.compressed() for runs in encode(found, letterbox)], 9),
        plain=seconds(lambda: plain_masks(found, letterbox, 0.5), 3),
        best=seconds(lambda: best_plain_masks(found, letterbox, 0.5), 5),
    )


def lungs(count: int) -> Instances:
    """Soft masks like a network's of both lungs, no two alike: uint8 [count, 64, 64]."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:64, 0:64] + 0.5
    masks = np.zeros((count, 64, 64), np.uint8)
    for index, mask in enumerate(masks):
        centre = (21 if index % 2 else 43) + rng.normal(0, 1), 32 + rng.normal(0, 2)
        radii = np.array([9.0, 20.0]) * rng.uniform(0.85, 1.15, 2)
        angle = np.arctan2(y - centre[1], x - centre[0])
        waves = 1 + 0.05 * np.sin(3 * angle + rng.uniform(0, 6)) + 0.03 * np.sin(7 * angle)
        distance = np.hypot((x - centre[0]) / radii[0], (y - centre[1]) / radii[1]) / waves
        mask[:] = (255 / (1 + np.exp(12 * (distance - 1)))).round()
    scores = np.linspace(0.9, 0.5, count, dtype=np.float32)
    return Instances(masks=masks, labels=np.zeros(count, np.int64), scores=scores)


def _extent(above: npt.NDArray[np.bool_]) -> tuple[slice, slice]:
    """Rows and columns of what is above, and one around it."""
    rows, columns = np.flatnonzero(above.any(axis=1)), np.flatnonzero(above.any(axis=0))
    return tuple(  # type: ignore[return-value]
        slice(max(0, int(found[0]) - 1), min(length, int(found[-1]) + 2))
        for found, length in ((rows, above.shape[0]), (columns, above.shape[1]))
    )
