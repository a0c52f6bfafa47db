"""Answers of known quality on films with squares, for tests of metrics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.data.coco import CocoDataset, load_coco
from model.evaluation.average_precision import AveragePrecision, average_precision
from model.evaluation.images import Prediction, encode
from model.evaluation.measure import coco_results
from solo.contract.instances import Instances
from tests.support.coco_folder import SIZE, annotation, document, image, write
from tests.support.tiny import CATEGORIES

Square = tuple[int, int, int]
"""Left, top and side, in pixels."""
Object = tuple[Square, int]
"""A square and its label, 0 for a disc and 1 for a square; a label from 10 on is a crowd's."""
Found = tuple[Square, int, float]


def square(left: int, top: int, side: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros(SIZE, np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def scene(
    folder: Path, objects: Sequence[Sequence[Object]], found: Sequence[Sequence[Found]]
) -> tuple[CocoDataset, list[Prediction], AveragePrecision]:
    """Films 7, 8, ... with these objects, what was found in each, best first, and its AP."""
    images = [image(id=7 + i, file_name=f"{i}.png") for i in range(len(objects))]
    annotations = []
    for number, (at, own) in enumerate((i, own) for i, film in enumerate(objects) for own in film):
        (left, top, side), label = own
        right, bottom = left + side, top + side
        annotations.append(
            annotation(
                id=number,
                image_id=7 + at,
                category_id=CATEGORIES[1][label % 10],
                segmentation=[[left, top, right, top, right, bottom, left, bottom]],
                iscrowd=int(label >= 10),
            )
        )
    films = {f"{i}.png": np.zeros(SIZE, np.uint8) for i in range(len(objects))}
    data = load_coco(write(folder, document(images=images, annotations=annotations), films))
    predictions: list[Prediction] = []
    for record, own_found in zip(data.images, found, strict=True):
        instances = Instances(
            np.zeros((len(own_found), 4, 4), np.uint8),
            np.array([label for _, label, _ in own_found], np.int64),
            np.array([score for _, _, score in own_found], np.float32),
        )
        predictions.append((record, instances, [encode(square(*at)) for at, _, _ in own_found]))
    return data, predictions, average_precision(data, coco_results(data, predictions))


def random_scene(
    folder: Path, seed: int, films: int = 4
) -> tuple[CocoDataset, list[Prediction], AveragePrecision]:
    """Objects, crowds among them, and instances that are somewhat off, of the wrong class, or not
    there at all; scores in hundredths, so that some are equal."""
    rng = np.random.default_rng(seed)
    objects: list[list[Object]] = []
    found: list[list[Found]] = []
    for _ in range(films):
        own, answers = [], []
        for _ in range(int(rng.integers(0, 6))):
            side = int(rng.integers(8, 30))
            left, top = (int(rng.integers(0, room - side)) for room in SIZE[::-1])
            label = int(rng.integers(0, 2))
            own.append(((left, top, side), label + 10 * int(rng.random() < 0.15)))
            for _ in range(int(rng.integers(0, 3))):
                moved = max(0, left + int(rng.integers(-5, 5)))
                guess = 1 - label if rng.random() < 0.3 else label
                answers.append(((moved, top, side), guess, round(rng.uniform(0.05, 1), 2)))
        if rng.random() < 0.7:
            answers.append(((0, 0, 9), int(rng.integers(0, 2)), round(rng.uniform(0.05, 1), 2)))
        objects.append(own)
        found.append(sorted(answers, key=lambda each: -each[2]))
    return scene(folder, objects, found)
