"""AP and Dice on answers whose quality is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pytest
import torch
from pycocotools import mask as coco_mask
from torch import Tensor, nn

from model import evaluate
from model.configuration.network import ModelConfig
from model.data.coco import CocoDataset, load_coco
from model.data.split import split_by_patient
from model.evaluate import cross_validate
from model.evaluation import measure as measuring
from model.evaluation.images import Masks, Prediction, encode, true_masks
from model.evaluation.measure import measure, predict
from model.network.solo_network import SoloNetwork
from solo.contract.instances import Instances
from tests.support.coco_folder import (
    DISC,
    SIZE,
    SQUARE,
    Document,
    annotation,
    circle,
    disc_film,
    document,
    image,
    write,
)
from tests.support.tiny import CATEGORIES, lively, seeded, tiny_config

Found = tuple[Masks, list[int], list[float]]


def square(left: int, top: int, side: int = 40) -> npt.NDArray[np.bool_]:
    mask = np.zeros(SIZE, np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def ring(left: int, top: int, side: int = 40) -> list[list[int]]:
    right, bottom = left + side, top + side
    return [[left, top, right, top, right, bottom, left, bottom]]


def load(folder: Path, *objects: Document, images: int = 1) -> CocoDataset:
    """Films 7, 8, ...; objects are annotations without an id."""
    entries = [image(id=7 + i, file_name=f"{i}.png") for i in range(images)]
    films = {f"{i}.png": np.zeros(SIZE, np.uint8) for i in range(images)}
    annotations = [annotation(id=i, **fields) for i, fields in enumerate(objects)]
    return load_coco(write(folder, document(images=entries, annotations=annotations), films))


def answers(data: CocoDataset, *found: Found) -> list[Prediction]:
    """One answer an image: masks in its pixels, labels and scores."""
    predictions = []
    for record, (masks, labels, scores) in zip(data.images, found, strict=True):
        soft = np.zeros((len(masks), 4, 4), np.uint8)
        instances = Instances(soft, np.array(labels, np.int64), np.array(scores, np.float32))
        predictions.append((record, instances, [encode(mask) for mask in masks]))
    return predictions


NOTHING: Found = (np.empty((0, *SIZE), np.bool_), [], [])


def test_perfect_answers_are_perfect(tmp_path: Path) -> None:
    data = load(
        tmp_path,
        {"segmentation": ring(5, 5), "category_id": DISC},
        {"segmentation": ring(50, 30), "category_id": SQUARE},
        {"segmentation": ring(30, 30), "category_id": SQUARE, "image_id": 8},
        images=2,
    )
    quality = measure(
        data,
        answers(
            data,
            (np.stack([square(50, 30), square(5, 5)]), [1, 0], [0.9, 0.8]),
            (square(30, 30)[None], [1], [0.7]),
        ),
    )
    perfect = {"ap": 1, "ap50": 1, "ap75": 1, "dice": 1, "right_count": 1}
    assert quality == pytest.approx(perfect)


def test_no_answers_are_worth_nothing(tmp_path: Path) -> None:
    data = load(tmp_path, {"segmentation": ring(5, 5)}, images=2)
    quality = measure(data, answers(data, NOTHING, NOTHING))
    # One of the films shows nothing, and nothing was found in it.
    assert quality == {"ap": 0, "ap50": 0, "ap75": 0, "dice": 0, "right_count": 0.5}


def test_a_shifted_square_has_the_dice_and_iou_worked_out_by_hand(tmp_path: Path) -> None:
    data = load(tmp_path, {"segmentation": ring(10, 10)})
    quality = measure(data, answers(data, (square(20, 10)[None], [1], [0.9])))
    # 30 of 40 columns overlap: Dice 30 / 40, IoU 30 / 50 = 0.6, right at 0.5, 0.55 and 0.6 of ten.
    assert quality["dice"] == pytest.approx(0.75)
    assert quality["ap50"] == pytest.approx(1)
    assert quality["ap75"] == pytest.approx(0)
    assert quality["ap"] == pytest.approx(0.3)


def test_another_class_is_no_match(tmp_path: Path) -> None:
    data = load(tmp_path, {"segmentation": ring(10, 10), "category_id": SQUARE})
    quality = measure(data, answers(data, (square(10, 10)[None], [0], [0.9])))
    assert quality["dice"] == 0
    assert quality["ap"] == 0
    assert quality["right_count"] == 1


def test_dice_is_of_the_best_match_above_the_threshold(tmp_path: Path) -> None:
    data = load(tmp_path, {"segmentation": ring(10, 10)})
    masks = np.stack([square(20, 10), square(15, 10), square(10, 10)])
    found = answers(data, (masks, [1, 1, 1], [0.9, 0.6, 0.2]))
    expected = {0.1: (1.0, 0), 0.5: (35 / 40, 0), 0.7: (30 / 40, 1), 0.95: (0, 0)}
    for threshold, (dice, right_count) in expected.items():
        quality = measure(data, found, threshold)
        assert quality["dice"] == pytest.approx(dice)
        assert quality["right_count"] == right_count
        assert quality["ap50"] == pytest.approx(1)  # AP is over all scores


def test_every_object_counts_the_same(tmp_path: Path) -> None:
    data = load(
        tmp_path,
        {"segmentation": ring(0, 0)},
        {"segmentation": ring(50, 0)},
        {"segmentation": ring(0, 0), "image_id": 8},
        images=2,
    )
    found = answers(data, (square(0, 0)[None], [1], [0.9]), (square(0, 20)[None], [1], [0.8]))
    assert measure(data, found)["dice"] == pytest.approx((1 + 0 + 0.5) / 3)


def test_a_crowd_is_neither_wanted_nor_held_against_an_answer(tmp_path: Path) -> None:
    data = load(
        tmp_path,
        {"segmentation": ring(5, 5)},
        {"segmentation": ring(55, 5), "iscrowd": 1},
    )
    masks = np.stack([square(60, 10, side=20), square(5, 5)])
    found = answers(data, (masks, [1, 1], [0.95, 0.9]))
    quality = measure(data, found)
    assert quality["ap"] == pytest.approx(1)  # the better score lies in the crowd: ignored
    assert quality["dice"] == pytest.approx(1)
    assert len(true_masks(data.images[0])) == 1


def test_a_data_set_without_objects_is_measured(tmp_path: Path) -> None:
    data = load(tmp_path, images=2)
    quality = measure(data, answers(data, NOTHING, (square(5, 5)[None], [0], [0.9])))
    assert quality["ap"] is None
    assert quality["right_count"] == 0.5
    assert quality["dice"] is None


def test_qualities_can_be_written_as_json(tmp_path: Path) -> None:
    data = load(tmp_path)
    json.dumps(measure(data, answers(data, NOTHING)), allow_nan=False)


def test_crowds_alone_leave_nothing_to_find(tmp_path: Path) -> None:
    data = load(tmp_path, {"segmentation": ring(5, 5), "iscrowd": 1})
    quality = measure(data, answers(data, (square(60, 30)[None], [1], [0.9])))
    assert quality["ap"] is None


def test_true_masks_of_both_forms(tmp_path: Path) -> None:
    mask = square(20, 10)
    stored = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    as_mask = {"size": list(SIZE), "counts": stored["counts"].decode()}
    data = load(tmp_path, {"segmentation": ring(20, 10)}, {"segmentation": as_mask})
    found = true_masks(data.images[0])
    assert found.dtype == np.bool_
    np.testing.assert_array_equal(found, np.stack([mask, mask]))
    assert true_masks(load(tmp_path / "none").images[0]).shape == (0, *SIZE)


class Perfect(nn.Module):
    """Its raw answer is the canvas itself."""

    def __init__(self) -> None:
        super().__init__()
        self.config = tiny_config(canvas_size=(160, 192))
        self.parameter = nn.Parameter(torch.zeros(1))

    def forward(self, canvas: Tensor) -> Tensor:
        return canvas


def test_masks_come_back_to_the_films_own_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bright(canvas: Tensor, config: ModelConfig) -> tuple[Tensor, Tensor, Tensor]:
        soft = nn.functional.avg_pool2d((canvas > 130 / 255).float(), 4) * 255
        masks = torch.cat([soft, soft], 1).to(torch.uint8)
        return torch.tensor([[0.9, 0]]), torch.tensor([[1, -1]]), masks

    monkeypatch.setattr(measuring, "find_instances", bright)
    centres, sizes = [(40.0, 80.0), (120.0, 30.0)], [(120, 90), (70, 210)]
    films = {
        f"{i}.png": disc_film(centre, 25, size)
        for i, (centre, size) in enumerate(zip(centres, sizes, strict=True))
    }
    images = [
        image(id=i, file_name=f"{i}.png", height=h, width=w) for i, (h, w) in enumerate(sizes)
    ]
    objects = [
        annotation(id=i, image_id=i, category_id=SQUARE, segmentation=[circle(centre, 25)])
        for i, centre in enumerate(centres)
    ]
    data = load_coco(write(tmp_path, document(images=images, annotations=objects), films))
    found = list(predict(cast(SoloNetwork, Perfect()), data))
    assert [record.image_id for record, _, _ in found] == [0, 1]
    assert [[tuple(rle["size"]) for rle in rles] for _, _, rles in found] == [[s] for s in sizes]
    assert [instances.labels.tolist() for _, instances, _ in found] == [[1], [1]]
    quality = measure(data, found)
    assert quality["dice"] == pytest.approx(1, abs=0.03)
    assert quality["ap75"] == pytest.approx(1)


def test_a_network_answers_for_every_film(tmp_path: Path) -> None:
    data = load(tmp_path, {"segmentation": ring(5, 5)}, images=2)
    network = lively(tiny_config())
    for record, instances, rles in predict(network, data):
        assert [rle["size"] for rle in rles] == len(instances) * [[record.height, record.width]]
        assert (np.diff(instances.scores) <= 0).all()
        assert len(instances) > 0


def test_classes_in_another_order_are_told_apart_by_their_names(tmp_path: Path) -> None:
    data = load(tmp_path, {"segmentation": ring(5, 5)})
    names, ids = CATEGORIES
    here = lively(tiny_config())
    there = lively(tiny_config(class_names=names[::-1], category_ids=ids[::-1]))
    ((_, found, _),) = predict(here, data)
    ((_, swapped, _),) = predict(there, data)
    np.testing.assert_array_equal(swapped.labels, 1 - found.labels)
    np.testing.assert_array_equal(swapped.scores, found.scores)


def test_a_network_of_other_classes_is_refused(tmp_path: Path) -> None:
    data = load(tmp_path, {"segmentation": ring(5, 5)})
    for names in (("disc", "heart"), ("disc",), ("disc", "square", "heart")):
        other = seeded(tiny_config(class_names=names, category_ids=tuple(range(len(names)))))
        with pytest.raises(ValueError, match=f"classes are {', '.join(names)}, the data set's are"):
            list(predict(other, data))


@pytest.mark.parametrize("count", [2, 3])
def test_each_film_is_answered_by_the_network_that_has_not_seen_its_patient(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load(tmp_path, {"segmentation": ring(5, 5)}, images=7)
    networks = [lively(tiny_config()) for _ in range(count)]
    asked: dict[int, list[str]] = {}

    def record_films(network: SoloNetwork, films: CocoDataset) -> Iterator[Prediction]:
        asked[networks.index(network)] = [record.patient for record in films.images]
        return iter(())

    monkeypatch.setattr(evaluate, "predict", record_films)
    films, predictions = cross_validate(networks, data, 3)
    assert not list(predictions)
    held_out = [split_by_patient(data, fold, 3)[1] for fold in range(count)]
    assert asked == {
        fold: [record.patient for record in part.images] for fold, part in enumerate(held_out)
    }
    answered = sorted(name for names in asked.values() for name in names)
    assert sorted(record.patient for record in films.images) == answered
    if count == 3:
        assert answered == sorted(record.patient for record in data.images)


def test_there_are_no_more_networks_than_folds(tmp_path: Path) -> None:
    data = load(tmp_path, {"segmentation": ring(5, 5)}, images=3)
    with pytest.raises(ValueError, match="3 networks for 2 folds"):
        cross_validate([lively(tiny_config()) for _ in range(3)], data, 2)
