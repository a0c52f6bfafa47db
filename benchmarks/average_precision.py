"""COCO mask AP of masks in memory."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


@dataclass(frozen=True)
class Film:
    """One image's objects or instances: bool [n, h, w], int64 [n] and, if found, float32 [n]."""

    masks: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32] | None = None


def mask_ap(truth: list[Film], found: list[Film]) -> float:
    """AP over IoU 0.5 to 0.95 and all classes, at most 100 instances a film."""
    annotations = [
        {**entry, "id": index, "iscrowd": 0, "area": float(coco_mask.area(entry["segmentation"]))}
        for index, entry in enumerate(_entries(truth), start=1)
    ]
    results = _entries(found)
    if not results:
        return 0.0
    coco = COCO()
    coco.dataset = {
        "images": [
            {"id": number, "height": film.masks.shape[1], "width": film.masks.shape[2]}
            for number, film in enumerate(truth)
        ],
        "annotations": annotations,
        "categories": [{"id": key} for key in sorted({e["category_id"] for e in annotations})],
    }
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def _entries(films: list[Film]) -> list[dict[str, Any]]:
    entries = []
    for number, film in enumerate(films):
        for index, (mask, label) in enumerate(zip(film.masks, film.labels, strict=True)):
            rle = coco_mask.encode(np.asfortranarray(mask))
            entry = {
                "image_id": number,
                "category_id": int(label) + 1,
                "segmentation": rle,
                "bbox": list(coco_mask.toBbox(rle)),
            }
            if film.scores is not None:
                entry["score"] = float(film.scores[index])
            entries.append(entry)
    return entries
