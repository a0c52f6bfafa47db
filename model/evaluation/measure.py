"""Inference on annotated films, and the metrics of its answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from tqdm import tqdm

from model.data.coco import CocoDataset
from model.data.radiograph import read_radiograph
from model.evaluation.average_precision import Number, average_precision
from model.evaluation.confusion import confusion_matrix
from model.evaluation.images import ImageQuality, Prediction, judge, restore
from model.evaluation.quality import Quality, summarise
from model.evaluation.threshold import ScoredMatches, propose_threshold
from model.network.postprocess import find_instances
from model.network.solo_network import SoloNetwork
from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox

SCORE_THRESHOLD = 0.3


def predict(network: SoloNetwork, data: CocoDataset) -> Iterator[Prediction]:
    """Infers the instances of each film, with the data set's labels, masks in its own pixels.

    Raises:
        ValueError: unless network and data set have the same classes.
    """
    config = network.config
    labels_here = data.labels_of(config.class_names)
    device = next(network.parameters()).device
    for record in tqdm(data.images, desc="evaluating", unit="film", leave=False):
        film = read_radiograph(record)
        letterbox = Letterbox.fit((record.height, record.width), config.canvas_size)
        canvas = torch.from_numpy(letterbox.apply(film))[None, None].to(device)
        with torch.inference_mode():
            scores, labels, masks = find_instances(network(canvas), config)
        instances = Instances.from_outputs(
            scores[0].cpu().numpy(), labels[0].cpu().numpy(), masks[0].cpu().numpy()
        ).relabelled(labels_here)
        yield restore(record, instances, letterbox, config.mask_threshold)


def measure(
    data: CocoDataset, predictions: Iterable[Prediction], score_threshold: float = SCORE_THRESHOLD
) -> dict[str, Number]:
    """Headline metrics: AP over all instances; Dice and counts from `score_threshold` on.

    Returns:
        `ap`, `ap50`, `ap75` (COCO, mask IoU), `dice` (mean over annotated objects of the best
        matching instance of the same class, 0 for an object that was not found), and
        `right_count`, the part of films with as many instances as were annotated. None where
        there is nothing to find.
    """
    quality, _ = assess(data, predictions, score_threshold, distances=False)
    return headline(quality)


def headline(quality: Quality) -> dict[str, Number]:
    """The figures that `measure` returns."""
    figures = quality.to_dict()
    return {name: figures[name] for name in ("ap", "ap50", "ap75", "dice", "right_count")}


def assess(
    data: CocoDataset,
    predictions: Iterable[Prediction],
    score_threshold: float | None = SCORE_THRESHOLD,
    lowest: float = 0.0,
    *,
    distances: bool = True,
) -> tuple[Quality, list[ImageQuality]]:
    """All metrics, and the quality of each film.

    Args:
        data: the films.
        predictions: of each.
        score_threshold: for Dice and counts; None takes the one that is proposed.
        lowest: smallest threshold that may be proposed.
        distances: whether to measure boundaries, which takes longer than all else.
    """
    answers = list(predictions)
    precision = average_precision(data, coco_results(data, answers))
    matches = ScoredMatches.gather(data, answers, precision)
    proposed = propose_threshold(matches, data.class_names, lowest)
    if score_threshold is None:
        score_threshold = proposed.score_threshold if proposed else max(SCORE_THRESHOLD, lowest)
    confused_at = proposed.score_threshold if proposed else score_threshold
    confusion = confusion_matrix(data, answers, precision, confused_at)
    films = [judge(each, score_threshold, distances=distances) for each in answers]
    quality = summarise(data, films, precision, matches, proposed, confusion, score_threshold)
    return quality, films


def coco_results(data: CocoDataset, answers: Sequence[Prediction]) -> list[dict[str, Any]]:
    """Predictions as `average_precision` takes them."""
    return [
        {
            "image_id": record.image_id,
            "category_id": data.category_ids[label],
            "score": float(score),
            "segmentation": rle,
        }
        for record, instances, rles in answers
        for rle, label, score in zip(rles, instances.labels, instances.scores, strict=True)
    ]
