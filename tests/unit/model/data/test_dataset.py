"""The stream of training samples."""

from __future__ import annotations

import pickle
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

from model.configuration.recipe import Augmentation
from model.data import dataset
from model.data.augment import random_placement
from model.data.coco import CocoDataset, DatasetError, load_coco
from model.data.dataset import Sample, TrainingStream, collate
from model.data.rasterise import warp
from tests.support.coco_folder import (
    DISC,
    SIZE,
    SQUARE,
    annotation,
    circle,
    disc_film,
    disc_folder,
    document,
    image,
    write,
    write_unread,
)

CANVAS = (64, 64)


def equal(one: Sample, other: Sample) -> bool:
    (image_a, a), (image_b, b) = one, other
    return (
        torch.equal(image_a, image_b)
        and torch.equal(a.masks, b.masks)
        and torch.equal(a.boxes, b.boxes)
        and torch.equal(a.labels, b.labels)
    )


@pytest.fixture
def discs(tmp_path: Path) -> CocoDataset:
    """Four films, the third of them without an object."""
    return load_coco(disc_folder(tmp_path / "discs", 4, empty=(2,)))


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> list[npt.NDArray[np.float64]]:
    """Where films are put, one affine; grey values stay as they are."""
    fixed = [np.array([[0.5, 0, 0], [0, 0.5, 0]])]
    monkeypatch.setattr(dataset, "random_placement", lambda *_: fixed[0])
    monkeypatch.setattr(dataset, "change_grey_values", lambda film, _: film)
    return fixed


def test_a_sample_depends_on_seed_and_index_alone(discs: CocoDataset) -> None:
    forwards = [TrainingStream(discs, CANVAS, 12, seed=3)[i] for i in range(12)]
    stream = TrainingStream(discs, CANVAS, 500, seed=3)
    for index in (11, 0, 5, 5, 8):
        assert equal(stream[index], forwards[index])
    assert not any(equal(forwards[i], forwards[j]) for i in range(12) for j in range(i))


def test_another_seed_gives_other_samples(discs: CocoDataset) -> None:
    one, other = (TrainingStream(discs, CANVAS, 8, seed) for seed in (3, 4))
    assert not any(equal(one[i], other[i]) for i in range(8))


def test_a_sample_is_a_canvas_in_0_to_1_with_its_objects(discs: CocoDataset) -> None:
    stream = TrainingStream(discs, CANVAS, 40, seed=0)
    assert len(stream) == 40
    for index in range(40):
        film, objects = stream[index]
        count = len(objects.labels)
        assert film.shape == (1, *CANVAS)
        assert film.dtype == torch.float32
        assert 0 <= film.min() <= film.max() <= 1
        assert objects.masks.shape == (count, *CANVAS)
        assert objects.masks.dtype == torch.uint8
        assert objects.boxes.shape == (count, 4)
        assert objects.boxes.dtype == torch.float32
        assert objects.labels.dtype == torch.int64


def test_boxes_are_tight(discs: CocoDataset) -> None:
    stream = TrainingStream(discs, CANVAS, 20, seed=1)
    for index in range(20):
        objects = stream[index][1]
        for mask, box in zip(objects.masks, objects.boxes, strict=True):
            rows, columns = torch.nonzero(mask >= 128, as_tuple=True)
            found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert box.tolist() == [float(side) for side in found]


def test_every_film_comes_once_a_round(tmp_path: Path, place: list[object]) -> None:
    greys = {f"{i}.png": np.full(SIZE, 20 * i + 10, np.uint8) for i in range(7)}
    images = [image(id=i, file_name=name) for i, name in enumerate(greys)]
    data = load_coco(write(tmp_path / "d", document(images=images, annotations=[]), greys))
    stream = TrainingStream(data, (32, 32), 21, seed=0)
    orders = [
        [round(float(stream[turn * 7 + i][0][0, 10, 10]) * 255) for i in range(7)]
        for turn in range(3)
    ]
    for order in orders:
        assert sorted(order) == [10, 30, 50, 70, 90, 110, 130]
    assert len({tuple(order) for order in orders}) == 3


def test_masks_move_with_the_film(discs: CocoDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "change_grey_values", lambda film, _: film)
    # The disc alone is brighter than this, if what is around the film is black.
    monkeypatch.setattr(dataset, "warp", lambda film, affine, size, _: warp(film, affine, size, 0))
    stream = TrainingStream(discs, CANVAS, 80, seed=2)
    seen = 0
    for index in range(80):
        film, objects = stream[index]
        bright = film[0] > 130 / 255
        for mask in objects.masks >= 128:
            union = (mask | bright).sum()
            assert (mask & bright).sum() / union > 0.9
            seen += 1
    assert seen > 50


def test_a_large_film_is_reduced_first_without_moving_its_objects(
    tmp_path: Path, place: list[npt.NDArray[np.float64]]
) -> None:
    size, centre = (500, 380), (150.0, 310.0)
    place[0] = np.array([[0.11, 0.03, -4.0], [-0.03, 0.11, 6.0]])
    content = document(
        images=[image(height=500, width=380)],
        annotations=[annotation(category_id=DISC, segmentation=[circle(centre, 120)])],
    )
    films = {"film.png": disc_film(centre, 120, size)}
    film, objects = TrainingStream(load_coco(write(tmp_path, content, films)), CANVAS, 1, 0)[0]
    bright, mask = film[0] > 130 / 255, objects.masks[0] >= 128
    assert (mask & bright).sum() / (mask | bright).sum() > 0.95
    rows, columns = torch.nonzero(mask, as_tuple=True)
    x, y = place[0] @ (*centre, 1)
    assert float(columns.float().mean()) + 0.5 == pytest.approx(x, abs=0.3)
    assert float(rows.float().mean()) + 0.5 == pytest.approx(y, abs=0.3)


def test_a_film_of_12_bits_is_not_black(tmp_path: Path, place: list[object]) -> None:
    disc = disc_film((50, 40), 25)
    data = load_coco(write(tmp_path, document(annotations=[]), {"film.png": disc}))
    cv2.imwrite(str(tmp_path / "film.png"), disc.astype(np.uint16) * np.uint16(16))
    film = TrainingStream(data, CANVAS, 1, 0)[0][0][0]
    assert film[20, 25] > 0.9  # the disc's middle
    assert film[3, 3] < 0.1


@pytest.mark.parametrize(
    ("shift", "kept"),
    [
        (0.0, True),
        (-26.0, True),  # 4 of 20 columns are left
        (-29.0, False),  # 1 of 20 columns
        (-40.0, False),
        (70.0, False),
    ],
)
def test_objects_that_a_crop_left_out_are_dropped(
    tmp_path: Path, place: list[npt.NDArray[np.float64]], shift: float, kept: bool
) -> None:
    place[0] = np.array([[0.5, 0, shift], [0, 0.5, 0]])
    data = load_coco(write(tmp_path, document(), {"film.png": np.zeros(SIZE, np.uint8)}))
    objects = TrainingStream(data, CANVAS, 1, 0)[0][1]  # the square is x 10 to 30 on the canvas
    assert objects.labels.tolist() == ([1] if kept else [])
    assert objects.masks.shape == (int(kept), *CANVAS)
    assert objects.boxes.shape == (int(kept), 4)


@pytest.mark.parametrize(("side", "kept"), [(2.0, False), (4.0, True)])
def test_objects_of_less_than_four_canvas_pixels_are_dropped(
    tmp_path: Path, place: list[object], side: float, kept: bool
) -> None:
    corner = 20 + side
    outline = [[20, 20, corner, 20, corner, corner, 20, corner]]
    content = document(annotations=[annotation(id=1), annotation(id=2, segmentation=outline)])
    data = load_coco(write(tmp_path, content, {"film.png": np.zeros(SIZE, np.uint8)}))
    assert len(TrainingStream(data, CANVAS, 1, 0)[0][1].labels) == 1 + int(kept)


def test_crowds_are_left_out_and_labels_follow_the_file(
    tmp_path: Path, place: list[object]
) -> None:
    content = document(
        annotations=[
            annotation(id=1, category_id=SQUARE),
            annotation(id=2, category_id=DISC, iscrowd=1),
            annotation(id=3, category_id=DISC, segmentation=[circle((70, 50), 15)]),
        ]
    )
    data = load_coco(write(tmp_path, content, {"film.png": np.zeros(SIZE, np.uint8)}))
    objects = TrainingStream(data, CANVAS, 1, 0)[0][1]
    assert objects.labels.tolist() == [1, 0]
    assert objects.masks[0, 15, 20] == 255
    assert objects.masks[1, 25, 35] == 255


def test_objects_that_all_vanish_on_the_canvas_are_refused(tmp_path: Path) -> None:
    outline = [[20, 20, 23, 20, 23, 23, 20, 23]]  # 9 pixels of 80 x 100
    content = document(annotations=[annotation(segmentation=outline)])
    data = load_coco(write_unread(tmp_path, content))
    TrainingStream(data, (64, 64), 1, 0)
    with pytest.raises(DatasetError, match=r"covers 0\.9 pixels of a canvas of \(32, 32\)"):
        TrainingStream(data, (32, 32), 1, 0)


def test_a_class_of_crowds_alone_is_told(tmp_path: Path) -> None:
    objects = [annotation(id=1), annotation(id=2, category_id=DISC, iscrowd=1)]
    data = load_coco(write_unread(tmp_path, document(annotations=objects)))
    assert data.crowds_alone == ("disc",)
    assert TrainingStream(data, CANVAS, 1, 0).notes()[0].startswith("Every 'disc' is a crowd.")


def test_a_film_without_objects_gives_empty_objects(tmp_path: Path) -> None:
    data = load_coco(disc_folder(tmp_path / "d", 1, empty=(0,)))
    samples = [TrainingStream(data, CANVAS, 2, 0)[index] for index in range(2)]
    for _, objects in samples:
        assert objects.masks.shape == (0, *CANVAS)
        assert objects.boxes.shape == (0, 4)
        assert objects.labels.shape == (0,)
        assert objects.labels.dtype == torch.int64
    images, batch = collate(samples)
    assert images.shape == (2, 1, *CANVAS)
    assert len(batch) == 2


def test_placements_are_drawn_for_the_films_own_size(
    discs: CocoDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def spy(
        image_size: tuple[int, int],
        canvas_size: tuple[int, int],
        strengths: Augmentation,
        rng: np.random.Generator,
    ) -> npt.NDArray[np.float64]:
        asked.append((image_size, canvas_size))
        return random_placement(image_size, canvas_size, strengths, rng)

    monkeypatch.setattr(dataset, "random_placement", spy)
    TrainingStream(discs, CANVAS, 1, 0)[0]
    assert asked == [(SIZE, CANVAS)]


def test_a_mirrored_film_has_the_labels_of_the_other_side(
    tmp_path: Path, place: list[npt.NDArray[np.float64]]
) -> None:
    objects = [
        annotation(id=1, category_id=1, segmentation=[circle((20, 40), 15)]),
        annotation(id=2, category_id=2, segmentation=[circle((80, 40), 15)]),
        annotation(id=3, category_id=3, segmentation=[circle((50, 40), 9)]),
    ]
    names = ("lung_r", "lung_l", "heart")
    categories = [{"id": n, "name": name} for n, name in enumerate(names, 1)]
    content = document(categories=categories, annotations=objects)
    data = load_coco(write(tmp_path, content, {"film.png": np.zeros(SIZE, np.uint8)}))
    for sign, shift, labels in ((1, 7, [0, 1, 2]), (-1, 57, [1, 0, 2])):
        place[0] = np.array([[0.5 * sign, 0, shift], [0, 0.5, 0]])
        objects_of = TrainingStream(data, CANVAS, 1, 0)[0][1]
        assert objects_of.labels.tolist() == labels
        middles = (objects_of.boxes[:, 0] + objects_of.boxes[:, 2]) / 2
        # Whatever the film shows on the left of the canvas is a right lung, as it always is.
        assert middles[labels.index(0)] < middles[2] < middles[labels.index(1)]
        kept = TrainingStream(data, CANVAS, 1, 0, Augmentation(side_pairs=()))[0][1]
        assert kept.labels.tolist() == [0, 1, 2]


def test_films_of_a_side_alone_are_never_mirrored_and_else_placed_alike(tmp_path: Path) -> None:
    films = {"film.png": disc_film((20, 40), 15)}
    outline = [circle((20, 40), 15)]
    boxes = []
    for name in ("left rib", "rib"):
        content = document(
            categories=[{"id": 1, "name": name}],
            annotations=[annotation(category_id=1, segmentation=outline)],
        )
        data = load_coco(write(tmp_path / name, content, films))
        strengths = Augmentation(rotation_degrees=0, scale=(1, 1), aspect=0)
        stream = TrainingStream(data, CANVAS, 60, 0, strengths)
        centred = [stream[index][1].boxes for index in range(60)]
        boxes.append([float(box[0, 0]) if len(box) else None for box in centred])
    same = [one == other for one, other in zip(*boxes, strict=True)]
    assert 15 < sum(same) < 45  # where the other was not mirrored they are the same


# Mean grey, boxes and labels of some samples as they were before films knew sides, repeats and
# pasting.
RECORDED = {
    0: (0.27511, [[14.0, 15.0, 34.0, 37.0]], [0]),
    1: (0.13542, [], []),
    4: (0.41799, [[17.0, 34.0, 40.0, 57.0]], [0]),
    6: (0.10093, [], []),
    9: (0.28338, [[14.0, 8.0, 46.0, 41.0]], [0]),
    11: (0.47383, [[21.0, 22.0, 42.0, 45.0]], [0]),
}


def test_samples_are_those_of_earlier_versions(discs: CocoDataset) -> None:
    """The figures of the model cards can be had again."""
    stream = TrainingStream(discs, CANVAS, 12, 3, Augmentation(grey_values=False))
    for index, (mean, box, labels) in RECORDED.items():
        film, objects = stream[index]
        assert float(film.mean()) == pytest.approx(mean, abs=2e-4)
        assert objects.boxes.tolist() == box
        assert objects.labels.tolist() == labels


def test_a_stream_can_be_sent_to_a_worker_process(discs: CocoDataset) -> None:
    stream = TrainingStream(discs, CANVAS, 4, seed=0)
    assert equal(pickle.loads(pickle.dumps(stream))[1], stream[1])  # noqa: S301  our own bytes
