"""Quality on films: COCO mask AP and Dice, in the films' own pixels.

python -m model.evaluate CHECKPOINT --data DIR
python -m model.evaluate runs/fold{0,1,2,3,4}/checkpoint.pt --data DIR
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tqdm import tqdm

from model.checkpoint import CheckpointError, load_segmenter
from model.coco import CocoDataset, DatasetError, ImageRecord, load_coco
from model.contract.instances import Instances
from model.contract.preprocess import Letterbox
from model.film import read_film
from model.postprocess import find_instances
from model.segmenter import Segmenter
from model.split import split_by_patient

Masks = npt.NDArray[np.bool_]
Prediction = tuple[ImageRecord, Instances, Masks]


def predict(segmenter: Segmenter, data: CocoDataset) -> Iterator[Prediction]:
    """The instances in each film, and their masks in its own pixels."""
    config = segmenter.config
    device = next(segmenter.parameters()).device
    for record in tqdm(data.images, desc="evaluating", unit="film"):
        film = read_film(record)
        letterbox = Letterbox.fit((record.height, record.width), config.canvas_size)
        canvas = torch.from_numpy(letterbox.apply(film))[None, None].to(device)
        with torch.inference_mode():
            scores, labels, masks = find_instances(segmenter(canvas), config)
        instances = Instances.from_outputs(
            scores[0].cpu().numpy(), labels[0].cpu().numpy(), masks[0].cpu().numpy()
        )
        yield record, instances, letterbox.restore(instances, config.mask_threshold)


def cross_validate(segmenters: list[Segmenter], data: CocoDataset) -> Iterator[Prediction]:
    """The instances in each film, by the network that was trained without its patient.

    Args:
        segmenters: one for each fold, in order; the k-th was trained with `--fold k`.
        data: all films.
    """
    for fold, segmenter in enumerate(segmenters):
        _, held_out = split_by_patient(data, fold, len(segmenters))
        yield from predict(segmenter, held_out)


def true_masks(record: ImageRecord) -> Masks:
    """Bool [n, height, width], the annotated objects that are no crowd."""
    masks = [coco_mask.decode(rle) for rle in _rles(record, crowd=False)]
    return np.asarray(masks, np.bool_).reshape(-1, record.height, record.width)


def measure(
    data: CocoDataset, predictions: Iterable[Prediction], score_threshold: float = 0.3
) -> dict[str, float | None]:
    """AP over all instances; Dice and counts over those of at least `score_threshold`.

    Returns:
        `ap`, `ap50`, `ap75` (COCO, mask IoU), `dice` (mean over annotated objects of the best
        matching instance of the same class, 0 for an object that was not found), and
        `right_count`, the part of films with as many instances as were annotated. None where
        there is nothing to find.
    """
    results: list[dict[str, Any]] = []
    dices: list[float] = []
    right_counts: list[bool] = []
    for record, instances, masks in predictions:
        results.extend(_coco_results(data, record, instances, masks))
        shown = instances.scores >= score_threshold
        labels = [a.label for a in record.annotations if not a.is_crowd]
        dices.extend(_best_dices(true_masks(record), labels, masks[shown], instances.labels[shown]))
        right_counts.append(int(shown.sum()) == len(labels))
    ap, ap50, ap75 = _average_precision(data, results)
    return {
        "ap": ap,
        "ap50": ap50,
        "ap75": ap75,
        "dice": float(np.mean(dices)) if dices else None,
        "right_count": float(np.mean(right_counts)),
    }


def _best_dices(
    truth: Masks, labels: list[int], found: Masks, found_labels: npt.NDArray[np.int64]
) -> list[float]:
    best = []
    for mask, label in zip(truth, labels, strict=True):
        same = found[found_labels == label]
        overlap = (same & mask).sum((1, 2))
        dice = 2 * overlap / (same.sum((1, 2)) + mask.sum())
        best.append(float(dice.max(initial=0.0)))
    return best


def _rles(record: ImageRecord, *, crowd: bool | None = None) -> Iterator[dict[str, Any]]:
    for annotation in record.annotations:
        if crowd is not None and annotation.is_crowd != crowd:
            continue
        if annotation.rle is not None:
            yield annotation.rle
        else:
            rings = [polygon.ravel().tolist() for polygon in annotation.polygons]
            yield coco_mask.merge(coco_mask.frPyObjects(rings, record.height, record.width))


def _coco_results(
    data: CocoDataset, record: ImageRecord, instances: Instances, masks: Masks
) -> list[dict[str, Any]]:
    return [
        {
            "image_id": record.image_id,
            "category_id": data.category_ids[label],
            "score": float(score),
            "segmentation": coco_mask.encode(np.asfortranarray(mask)),
        }
        for mask, label, score in zip(masks, instances.labels, instances.scores, strict=True)
    ]


def _average_precision(
    data: CocoDataset, results: list[dict[str, Any]]
) -> tuple[float | None, ...]:
    annotations: list[dict[str, Any]] = []
    for record in data.images:
        for annotation, rle in zip(record.annotations, _rles(record), strict=True):
            entry = {
                "id": len(annotations) + 1,
                "image_id": record.image_id,
                "category_id": data.category_ids[annotation.label],
                "segmentation": rle,
                "area": float(coco_mask.area(rle)),
                "bbox": list(coco_mask.toBbox(rle)),
                "iscrowd": int(annotation.is_crowd),
            }
            annotations.append(entry)
    if all(entry["iscrowd"] for entry in annotations):
        return None, None, None
    if not results:
        return 0.0, 0.0, 0.0
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
    return tuple(float(value) for value in evaluation.stats[:3])


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m model.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "checkpoints",
        type=Path,
        nargs="+",
        metavar="CHECKPOINT",
        help="several are the folds of a cross-validation, in order: each answers for the "
        "patients that it has not seen, and all answers are measured together",
    )
    parser.add_argument("--data", type=Path, required=True, help="a COCO data set")
    parser.add_argument("--fold", type=int, help="only the films that training held out")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--score-threshold", type=float, default=0.3, help="for Dice and counts")
    arguments = parser.parse_args(argv)
    try:
        data = load_coco(arguments.data)
        if arguments.fold is not None:
            _, data = split_by_patient(data, arguments.fold, arguments.folds)
        segmenters = [load_segmenter(path) for path in arguments.checkpoints]
        predictions = (
            predict(segmenters[0], data)
            if len(segmenters) == 1
            else cross_validate(segmenters, data)
        )
        metrics = measure(data, predictions, arguments.score_threshold)
    except (DatasetError, CheckpointError, ValueError) as error:
        print(error, file=sys.stderr)  # noqa: T201  # a plain sentence, no traceback
        return 1
    print(json.dumps(metrics, indent=1))  # noqa: T201  # the command's answer
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
