"""Instances of a served model beside the annotated objects that they outline."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask
from tqdm import tqdm

from model.data.coco import CocoDataset, ImageRecord
from model.data.radiograph import read_radiograph
from model.evaluation.average_precision import outlines
from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox
from solo.contract.manifest import Manifest
from solo.inference.precision import open_engine
from solo.masks.rle import encode

Soft = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)  # compared by identity: arrays have no single truth
class Judged:
    """One instance and the object that it outlines.

    Attributes:
        film: name of the film's file.
        name: of the class.
        score: in (0, 1].
        soft: uint8 [h, w] over the whole canvas, at the mask stride.
        letterbox: of the film.
        truth: RLE of the object of its class that it shares most with (IoU), None without any.
        dice: of the two at native size; 0 without any.
    """

    film: str
    name: str
    score: float
    soft: Soft
    letterbox: Letterbox
    truth: dict[str, Any] | None
    dice: float

    @property
    def on_film(self) -> Soft:
        """The part of the soft mask that lies on the film."""
        return self.soft[self.letterbox.window((self.soft.shape[0], self.soft.shape[1]))]


def judge(path: Path, data: CocoDataset) -> tuple[Manifest, Iterator[list[Judged]]]:
    """Judges the instances of each film that the model's answer has, in float32 on one core.

    Args:
        path: of the model, which has the data set's classes.
        data: films that it has not seen, so that the figures mean something.

    Returns:
        The model's manifest, and one list for each film.
    """
    engine = open_engine(path, "cpu", 1, "float32", cores=1)
    manifest = engine.manifest
    labels = data.labels_of(manifest.class_names)

    def films() -> Iterator[list[Judged]]:
        for record in tqdm(data.images, desc="judging", unit="film"):
            letterbox = Letterbox.fit((record.height, record.width), manifest.canvas_size)
            canvas = letterbox.apply(read_radiograph(record))[None, None]
            found = engine.run(canvas)[0].instances
            found = found.select(manifest.score_threshold, manifest.max_instances)
            yield _judge(found.relabelled(labels), letterbox, record, data, manifest)

    return manifest, films()


def dice(soft: Soft, letterbox: Letterbox, truth: dict[str, Any] | None, threshold: float) -> float:
    """Dice of a soft mask at native size and an object's RLE; 0 without an object."""
    if truth is None:
        return 0.0
    alone = Instances(soft[None], np.zeros(1, np.int64), np.ones(1, np.float32))
    runs = encode(alone, letterbox, threshold)[0]
    return _dice({"size": list(runs.size), "counts": runs.compressed()}, truth)


def _judge(
    found: Instances,
    letterbox: Letterbox,
    record: ImageRecord,
    data: CocoDataset,
    manifest: Manifest,
) -> list[Judged]:
    truths = list(outlines(record, crowd=False))
    of_truth = np.array([a.label for a in record.annotations if not a.is_crowd], np.int64)
    runs = encode(found, letterbox, manifest.mask_threshold)
    masks = [{"size": list(one.size), "counts": one.compressed()} for one in runs]
    judged = []
    for index, mask in enumerate(masks):
        label = int(found.labels[index])
        same = [truth for truth, other in zip(truths, of_truth, strict=True) if other == label]
        overlaps = [float(coco_mask.iou([mask], [truth], [0])[0, 0]) for truth in same]
        best = int(np.argmax(overlaps)) if max(overlaps, default=0) > 0 else None
        truth = None if best is None else same[best]
        judged.append(
            Judged(
                film=record.path.name,
                name=data.class_names[label],
                score=float(found.scores[index]),
                soft=found.masks[index],
                letterbox=letterbox,
                truth=truth,
                dice=0.0 if truth is None else _dice(mask, truth),
            )
        )
    return judged


def _dice(one: dict[str, Any], other: dict[str, Any]) -> float:
    shared = float(coco_mask.area(coco_mask.merge([one, other], intersect=True)))
    return 2 * shared / max(float(coco_mask.area(one)) + float(coco_mask.area(other)), 1.0)
