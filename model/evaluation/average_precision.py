"""COCO average precision of masks, by pycocotools, and its matches of scores."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from model.data.coco import CocoDataset, ImageRecord

Number = float | None
"""None where there is nothing to find, and so nothing to say."""

_STATISTICS = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
_ALL_AREAS, _AT_HALF = 0, 0  # pycocotools' indices of area ranges and of IoU thresholds


@dataclass(frozen=True, eq=False)  # compared by identity: arrays have no single truth
class AveragePrecision:
    """COCO's metrics, and the matches behind them.

    Attributes:
        overall: `ap`, `ap50`, `ap75`, and AP of objects below 32 x 32, below 96 x 96 and above, in
            the films' own pixels (`ap_small`, `ap_medium`, `ap_large`).
        classes: (AP, AP50) of each class, in the data set's order.
        scores: float64 [N], of all instances that are neither in a crowd nor beyond the hundredth.
        right: bool [N], whether each is the match of an object of its class at IoU 0.5.
    """

    overall: dict[str, Number]
    classes: tuple[tuple[Number, Number], ...]
    scores: npt.NDArray[np.float64]
    right: npt.NDArray[np.bool_]


def average_precision(data: CocoDataset, results: list[dict[str, Any]]) -> AveragePrecision:
    """Mask AP of instances against the annotations of all films.

    Args:
        data: the films.
        results: COCO's form: `image_id`, `category_id`, `score` and `segmentation` as RLE.
    """
    annotations = list(_annotations(data))
    if not results or all(entry["iscrowd"] for entry in annotations):
        return _without_a_match(data, annotations, results)
    truth = COCO()
    truth.dataset = {
        "images": [{"id": r.image_id, "height": r.height, "width": r.width} for r in data.images],
        "annotations": annotations,
        "categories": [{"id": key} for key in data.category_ids],
    }
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    overall = {
        name: _number(value) for name, value in zip(_STATISTICS, evaluation.stats, strict=False)
    }
    scores, right = _matches(evaluation.evalImgs)
    # Over IoU thresholds, recalls, classes, areas and numbers of detections.
    precision = evaluation.eval["precision"][:, :, :, _ALL_AREAS, -1]
    order = sorted(data.category_ids)  # pycocotools'
    classes = tuple(_of_class(precision[:, :, order.index(key)]) for key in data.category_ids)
    return AveragePrecision(overall, classes, scores, right)


def outlines(record: ImageRecord, *, crowd: bool | None = None) -> Iterator[dict[str, Any]]:
    """The RLE of each annotation of a film, or of those only that are (or are not) a crowd."""
    for annotation in record.annotations:
        if crowd is not None and annotation.is_crowd != crowd:
            continue
        if annotation.rle is not None:
            yield annotation.rle
        else:
            rings = [polygon.ravel().tolist() for polygon in annotation.polygons]
            yield coco_mask.merge(coco_mask.frPyObjects(rings, record.height, record.width))


def _annotations(data: CocoDataset) -> Iterator[dict[str, Any]]:
    key = 0
    for record in data.images:
        for annotation, rle in zip(record.annotations, outlines(record), strict=True):
            key += 1
            yield {
                "id": key,
                "image_id": record.image_id,
                "category_id": data.category_ids[annotation.label],
                "segmentation": rle,
                "area": float(coco_mask.area(rle)),
                "bbox": list(coco_mask.toBbox(rle)),
                "iscrowd": int(annotation.is_crowd),
            }


def _without_a_match(
    data: CocoDataset, annotations: list[dict[str, Any]], results: list[dict[str, Any]]
) -> AveragePrecision:
    """Nothing was found, or there was nothing to find."""
    wanted = [entry for entry in annotations if not entry["iscrowd"]]
    overall: dict[str, Number] = dict.fromkeys(_STATISTICS)
    if wanted:
        overall.update(dict.fromkeys(_STATISTICS[:3], 0.0))
    there = {entry["category_id"] for entry in wanted}
    classes: list[tuple[Number, Number]] = [
        (0.0, 0.0) if key in there else (None, None) for key in data.category_ids
    ]
    scores = np.array([entry["score"] for entry in results], np.float64)
    return AveragePrecision(overall, tuple(classes), scores, np.zeros(len(scores), np.bool_))


def _of_class(precision: npt.NDArray[np.float64]) -> tuple[Number, Number]:
    """AP and AP50 of precision over [IoU thresholds, recalls], which is -1 without objects."""
    return _number(precision.mean()), _number(precision[_AT_HALF].mean())


def _matches(films: list[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    scores: list[float] = []
    right: list[bool] = []
    every_area: list[float] | None = None
    for film in films:
        if film is None:
            continue
        every_area = every_area or film["aRng"]  # all areas come first
        if film["aRng"] != every_area:
            continue
        counted = ~film["dtIgnore"][_AT_HALF].astype(bool)
        scores += np.asarray(film["dtScores"])[counted].tolist()
        right += (film["dtMatches"][_AT_HALF][counted] > 0).tolist()
    return np.array(scores, np.float64), np.array(right, np.bool_)


def _number(value: float) -> Number:
    return None if value < 0 else float(value)
