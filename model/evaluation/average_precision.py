"""COCO average precision of masks, by pycocotools, and its matches of scores."""

from __future__ import annotations

import contextlib
import io
from collections import Counter
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

Rle = dict[str, Any]
"""A mask as COCO's run lengths: `size` (height, width) and `counts`."""

MATCHED_AT = (0.5, 0.75)
"""The IoU of `AveragePrecision.curves` and of its matches."""
NO_MATCH, NOT_COUNTED = -1, -2

_STATISTICS = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
_ALL_AREAS = 0  # pycocotools' index of the area ranges
_AT = (0, 5)  # and of `MATCHED_AT` among the IoU thresholds .5, .55, ... .95


@dataclass(frozen=True, eq=False)  # compared by identity: arrays have no single truth
class AveragePrecision:
    """COCO's metrics, and the matches behind them.

    Attributes:
        overall: `ap`, `ap50`, `ap75`, and AP of objects below 32 x 32, below 96 x 96 and above, in
            the films' own pixels (`ap_small`, `ap_medium`, `ap_large`).
        classes: (AP, AP50) of each class, in the data set's order.
        curves: float64 [2, C, 101], the precision of each class at recalls 0, 0.01, ... 1, at both
            IoUs of `MATCHED_AT`; -1 for a class without objects.
        matches: int64 [2, n] of each image, by its id: at both IoUs, the annotation that each of
            its instances is the match of, as a place in the image's annotations. `NO_MATCH` is a
            wrong instance; `NOT_COUNTED` one in a crowd, or beyond the hundredth of its class.
    """

    overall: dict[str, Number]
    classes: tuple[tuple[Number, Number], ...]
    curves: npt.NDArray[np.float64]
    matches: dict[int, npt.NDArray[np.int64]]


def average_precision(data: CocoDataset, results: list[dict[str, Any]]) -> AveragePrecision:
    """Mask AP of instances against the annotations of all films, by COCOeval's rules.

    Args:
        data: the films.
        results: COCO's form: `image_id`, `category_id`, `score` and `segmentation` as RLE.
    """
    images = [{"id": r.image_id, "height": r.height, "width": r.width} for r in data.images]
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints its progress
        truth = _indexed(data, images, list(_annotations(data)))
        found = _indexed(data, images, list(_found(results)))
        evaluation = COCOeval(truth, found, "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    overall = {
        name: _number(value) for name, value in zip(_STATISTICS, evaluation.stats, strict=False)
    }
    # Over IoU thresholds, recalls, classes, areas and numbers of detections.
    order = [sorted(data.category_ids).index(key) for key in data.category_ids]  # pycocotools'
    precision = evaluation.eval["precision"][:, :, order, _ALL_AREAS, -1]
    return AveragePrecision(
        overall,
        tuple(_of_class(precision[:, :, label]) for label in range(len(order))),
        precision[list(_AT)].transpose(0, 2, 1),
        _matches(data, results, evaluation),
    )


def outlines(record: ImageRecord, *, crowd: bool | None = None) -> Iterator[Rle]:
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


def _found(results: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for key, entry in enumerate(results, start=1):  # 0 is no match in pycocotools
        area = float(coco_mask.area(entry["segmentation"]))
        yield {**entry, "id": key, "area": area, "iscrowd": 0}


def _indexed(data: CocoDataset, images: list[Any], annotations: list[Any]) -> COCO:
    content = COCO()
    content.dataset = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": key} for key in data.category_ids],
    }
    content.createIndex()
    return content


def _of_class(precision: npt.NDArray[np.float64]) -> tuple[Number, Number]:
    """AP and AP50 of precision over [IoU thresholds, recalls], which is -1 without objects."""
    return _number(precision.mean()), _number(precision[0].mean())


def _matches(
    data: CocoDataset, results: list[dict[str, Any]], evaluation: COCOeval
) -> dict[int, npt.NDArray[np.int64]]:
    """COCOeval's matches, from its ids to places among an image's instances and annotations."""
    places: Counter[int] = Counter()
    where = []  # of each result among those of its image
    for entry in results:
        where.append(places[entry["image_id"]])
        places[entry["image_id"]] += 1
    matches, first, total = {}, {}, 1
    for record in data.images:
        matches[record.image_id] = np.full((len(_AT), places[record.image_id]), NOT_COUNTED)
        first[record.image_id] = total
        total += len(record.annotations)
    all_areas = evaluation.params.areaRng[_ALL_AREAS]
    for film in evaluation.evalImgs:
        if film is None or film["aRng"] != all_areas:
            continue
        own = [where[key - 1] for key in film["dtIds"]]
        for row, at in enumerate(_AT):
            match = film["dtMatches"][at].astype(np.int64)
            match = np.where(match > 0, match - first[film["image_id"]], NO_MATCH)
            match[film["dtIgnore"][at].astype(bool)] = NOT_COUNTED
            matches[film["image_id"]][row, own] = match
    return matches


def _number(value: float) -> Number:
    return None if value < 0 else float(value)
