"""The doctor on data sets whose faults are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from datasets.doctor import __main__ as doctor
from datasets.doctor.cells import PlacedImage, Survey, letterbox_affine, place_objects, survey
from datasets.doctor.findings import Finding, compare, examine
from datasets.doctor.page import COLOURS, draw_page
from datasets.doctor.proposals import describe_levels, propose
from datasets.doctor.resolution import find_coarseness, fit_canvas, highest_precision
from model.configuration.network import Level, ModelConfig
from model.configuration.presets import PRESETS
from model.data.coco import CocoDataset, load_coco
from model.training.targets import assign
from tests.support.coco_folder import (
    DISC,
    SIZE,
    SQUARE,
    Document,
    annotation,
    disc_film,
    disc_folder,
    document,
    image,
    write,
)
from tests.support.tiny import tiny_config, tiny_preset


def ring(left: float, top: float, side: float) -> list[list[float]]:
    right, bottom = left + side, top + side
    return [[left, top, right, top, right, bottom, left, bottom]]


def load(folder: Path, *objects: Document, **changes: object) -> CocoDataset:
    """One film of 64 x 64 with these objects, which the tiny network's canvas shows as it is."""
    annotations = [annotation(id=i, **fields) for i, fields in enumerate(objects)]
    entry = image(height=64, width=64, patientid="p", **changes)
    content = document(images=[entry], annotations=annotations)
    return load_coco(write(folder, content, {"film.png": np.zeros((64, 64), np.uint8)}))


def look(data: CocoDataset, config: ModelConfig) -> Survey:
    placed = [PlacedImage.of(place_objects(record, config.canvas_size)) for record in data.images]
    return survey(data, placed, config)


def troubles(data: CocoDataset, **changes: object) -> list[str | None]:
    return [item.trouble for item in look(data, tiny_config(**changes)).objects]


def sentences(findings: list[Finding]) -> str:
    return "\n".join(map(str, findings))


ONE_LEVEL = (Level(3, 8, 8, (4, 64)),)


def test_objects_far_apart_are_as_they_should_be(tmp_path: Path) -> None:
    data = load(tmp_path, {"segmentation": ring(8, 8, 12)}, {"segmentation": ring(40, 40, 12)})
    assert troubles(data) == [None, None]
    assert look(data, tiny_config()).findings() == []


def test_of_two_objects_with_one_centre_neither_has_a_cell_of_its_own(tmp_path: Path) -> None:
    data = load(tmp_path, {"segmentation": ring(30, 30, 12)}, {"segmentation": ring(32, 32, 8)})
    assert troubles(data, levels=ONE_LEVEL) == ["lost", "lost"]
    # Two levels tell them apart if only one of them is in each.
    levels = (Level(3, 8, 8, (1, 10)), Level(4, 16, 4, (11, 64)))
    assert troubles(data, levels=levels) == [None, None]


def test_a_large_object_that_keeps_some_cells_shares_the_others(tmp_path: Path) -> None:
    data = load(tmp_path, {"segmentation": ring(4, 4, 56)}, {"segmentation": ring(28, 28, 6)})
    assert troubles(data, levels=ONE_LEVEL) == ["shared", "lost"]


def test_tiny_objects_are_too_small(tmp_path: Path) -> None:
    data = load(
        tmp_path,
        {"segmentation": ring(10.1, 10.1, 0.8)},  # less than four pixels
        {"segmentation": ring(30, 30, 2)},  # four pixels, in four cells of the mask's grid
        {"segmentation": ring(48, 48, 4)},  # one whole cell
    )
    levels = (Level(3, 8, 8, (1, 64)),)
    assert troubles(data, levels=levels) == ["too small", "too small", None]


def test_what_no_level_is_for_is_out_of_scale_range(tmp_path: Path) -> None:
    data = load(
        tmp_path,
        {"segmentation": ring(2, 2, 10)},
        {"segmentation": ring(20, 20, 20)},
        {"segmentation": ring(4, 4, 58)},
    )
    levels = (Level(3, 8, 8, (1, 12)), Level(4, 16, 4, (40, 50)))
    assert troubles(data, levels=levels) == [None, "out of scale range", "out of scale range"]


def test_classes_with_sides_are_told(tmp_path: Path) -> None:
    names = ("left lung", "right lung", "right middle lobe", "nodule")
    content = document(
        categories=[{"id": n, "name": name} for n, name in enumerate(names, 1)],
        annotations=[
            annotation(id=1, category_id=3),
            annotation(id=2, category_id=4, iscrowd=1),
        ],
    )
    data = load_coco(write(tmp_path, content, {"film.png": np.zeros(SIZE, np.uint8)}))
    said = sentences(examine(data))
    assert "training mirrors films. Mirrored films swap the labels of 'left lung' and" in said
    assert "Films with 'right middle lobe' are not mirrored" in said
    assert "augmentation.mirror = 0 mirrors nothing. Images 7." in said
    assert "Every 'nodule' is a crowd: the network cannot learn it." in said
    assert "sides" not in sentences(examine(load(tmp_path / "none", {})))


def test_the_count_agrees_with_what_training_assigns(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    objects = [
        {"segmentation": ring(rng.uniform(0, 50), rng.uniform(0, 50), rng.uniform(5, 14))}
        for _ in range(25)
    ]
    data = load(tmp_path, *objects)
    config = tiny_config()
    levels = assign(place_objects(data.images[0], config.canvas_size), config)
    users = torch.zeros(25, dtype=torch.int64)
    for level in levels:
        for cell in level.cells.unique():
            there = level.objects[level.cells == cell]
            if len(there) == 1:
                users[there] += 1
    trained = torch.cat([level.objects for level in levels]).unique()
    expected = {int(index) for index in trained if not users[index]}
    found = {item.index for item in look(data, config).objects if item.trouble == "lost"}
    assert found == expected
    assert found


def test_crowds_are_not_counted_and_a_letterbox_is_followed(tmp_path: Path) -> None:
    content = document(
        annotations=[
            annotation(id=0, segmentation=ring(10, 10, 40)),
            annotation(id=1, segmentation=ring(60, 40, 20), iscrowd=1),
        ]
    )
    data = load_coco(write(tmp_path, content, {"film.png": np.zeros(SIZE, np.uint8)}))
    objects = place_objects(data.images[0], (64, 64))
    assert len(objects.labels) == 1
    left, top, right, bottom = objects.boxes[0].tolist()
    # 80 x 100 pixels on 64 x 64: to 51 rows, six below the top.
    assert (left, right) == pytest.approx((6.4, 32), abs=0.7)
    assert (top, bottom) == pytest.approx((6 + 10 * 51 / 80, 6 + 50 * 51 / 80), abs=0.7)
    assert letterbox_affine(data.images[0], (64, 64))[1, 2] == 6


def test_a_proposal_is_measured_to_be_better(tmp_path: Path) -> None:
    objects = [
        {"segmentation": ring(4 * x + 1, 4 * y + 1, 9)} for x in range(0, 14, 2) for y in (1, 7)
    ]
    data = load(tmp_path, *objects, {"segmentation": ring(20, 30, 24)})
    config = tiny_config(levels=(Level(3, 8, 4, (1, 8)), Level(4, 16, 2, (9, 20))))
    current = look(data, config)
    better = propose(current, lambda other: look(data, other))
    assert (current.count("out of scale range"), better.count("out of scale range")) == (1, 0)
    assert better.count("lost") < current.count("lost")
    ranges = [level.scale_range for level in better.config.levels]
    assert ranges[0][0] == 1
    assert ranges[0][1] > ranges[1][0]  # they overlap
    assert ranges[1][1] >= 2 * 64
    text = describe_levels(better.config)
    levels = eval(text.removeprefix("levels="), {"Level": Level})  # noqa: S307  # our own text
    assert levels == better.config.levels


def test_what_is_good_already_stays(tmp_path: Path) -> None:
    data = load(tmp_path, {"segmentation": ring(8, 8, 12)})
    current = look(data, tiny_config())
    assert propose(current, lambda other: look(data, other)) is current
    nothing = look(load(tmp_path / "none"), tiny_config())
    assert propose(nothing, lambda other: look(data, other)) is nothing


def test_too_many_objects_for_an_answer_are_told(tmp_path: Path) -> None:
    data = load(tmp_path, *[{"segmentation": ring(20 * i, 10, 9)} for i in range(3)])
    found = look(data, tiny_config(max_instances=2)).findings()
    assert "A film has 3 objects, an answer at most 2" in sentences(found)


def test_categories_crowds_negatives_and_outlines_are_told(tmp_path: Path) -> None:
    content = document(
        categories=[{"id": SQUARE, "name": "square"}, {"id": DISC, "name": "disc"}],
        images=[image(), image(id=8, file_name="other.png", patientid="p")],
        annotations=[
            annotation(id=0, segmentation=ring(-6, 10, 30)),
            annotation(id=1, segmentation=ring(-0.3, 50, 10)),  # rounding, not worth a word
            annotation(id=2, segmentation=ring(50, 10, 20), iscrowd=1),
        ],
    )
    films = {"film.png": np.zeros(SIZE, np.uint8), "other.png": np.ones(SIZE, np.uint8)}
    text = sentences(examine(load_coco(write(tmp_path, content, films))))
    assert "category ids 9, 3 are not 1 to 2" in text
    assert "No object is a 'disc'" in text
    assert "Polygons reach out of the image and are cut at its edge. Images 7." in text
    assert "Crowd regions are not trained on" in text
    assert "Of 2 images, 1 without an object: kept as negatives. Images 8." in text
    assert "1 image without a patient" in text


def test_outlines_in_parts_of_the_size_are_told(tmp_path: Path) -> None:
    data = load(tmp_path, {"segmentation": ring(8, 8, 12)}, {"segmentation": ring(0.2, 0.2, 0.5)})
    text = sentences(examine(data))
    assert "Outlines lie between 0 and 1, as YOLO's parts of the width and height do" in text


def test_films_that_viewers_turn_are_told(tmp_path: Path) -> None:
    data = load(tmp_path)
    assert "EXIF" not in sentences(examine(data))
    data.images[0].path.write_bytes(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x03\0\0\0")
    text = sentences(examine(data))
    assert "1 film, film.png first, with an EXIF orientation" in text
    assert "Images 7." in text


def test_films_of_one_patient_cannot_be_split(tmp_path: Path) -> None:
    text = sentences(examine(load(tmp_path)))
    assert "of one patient" not in text  # nor can a single film
    content = document(images=[image(id=i, file_name=f"{i}.png", patientid="p") for i in (1, 2)])
    films = {f"{i}.png": np.full(SIZE, i, np.uint8) for i in (1, 2)}
    data = load_coco(write(tmp_path, {**content, "annotations": []}, films))
    assert "All films are of one patient" in sentences(examine(data))


def test_patients_and_films_in_two_splits_are_told(tmp_path: Path) -> None:
    one = load_coco(disc_folder(tmp_path / "one", 4))
    other = load_coco(disc_folder(tmp_path / "other", 2))
    text = sentences(compare(one, other))
    assert "Both data sets have 2 patients in common" in text
    assert "The same films are in the other data set too" in text
    assert "Images 10, 11." in text
    renamed = tuple(replace(record, patient=f"new {record.patient}") for record in one.images)
    rest = one.subset(renamed[2:])
    assert compare(rest, other) == []
    categories = replace(other, class_names=("square", "disc"))
    assert "3 disc, 9 square here, 3 square, 9 disc there" in sentences(compare(rest, categories))


def test_patients_without_a_name_are_not_the_same(tmp_path: Path) -> None:
    one, other = (
        load_coco(write(tmp_path / name, document(), {"film.png": np.full(SIZE, grey, np.uint8)}))
        for name, grey in (("one", 10), ("other", 20))
    )
    assert compare(one, other) == []


def test_one_film_under_two_patients_is_told(tmp_path: Path) -> None:
    entries = [image(id=i, file_name=f"{i}.png", patientid=f"p{min(i, 2)}") for i in range(4)]
    films = {f"{i}.png": disc_film((40, 40), 20 + max(i, 1)) for i in range(4)}
    films["3.png"] = films["2.png"]  # of one patient: no harm
    data = load_coco(write(tmp_path, document(images=entries, annotations=[]), films))
    found = [f for f in examine(data) if "stored under several patients" in f.sentence]
    assert [finding.image_ids for finding in found] == [(0, 1)]


def test_a_long_list_of_images_is_cut() -> None:
    assert str(Finding("So it is.", tuple(range(11)))).endswith(
        "0, 1, 2, 3, 4, 5, 6, 7 and 3 more."
    )


def test_a_page_shows_objects_in_trouble_in_their_colour(tmp_path: Path) -> None:
    data = load(
        tmp_path,
        {"segmentation": ring(30, 30, 12)},
        {"segmentation": ring(32, 32, 8)},
        {"segmentation": ring(4, 4, 12)},
    )
    seen = look(data, tiny_config(levels=ONE_LEVEL))
    page = draw_page(data, seen)
    body = page[28:].reshape(-1, 3)
    drawn = {tuple(int(v) for v in colour) for colour in np.unique(body, axis=0)}
    assert {COLOURS["lost"], COLOURS[None]} <= drawn
    assert COLOURS["too small"] not in drawn


Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setitem(PRESETS, "tiny", lambda categories: tiny_preset(3, categories))

    def command(data: Path, *more: str) -> int:
        return doctor.main(["--data", str(data), "--preset", "tiny", *more])

    return command


def test_the_command(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, page = disc_folder(tmp_path / "discs", 4, empty=(2,)), tmp_path / "page.png"
    assert run(folder, "--page", str(page), "--other", str(folder), "--films", "3") == 0
    said = capsys.readouterr().out
    assert "4 images, 3 objects of 2 classes." in said
    assert "No object is a 'square'" in said
    assert "Both data sets have 4 patients in common" in said
    assert "Looked at closely (--films): 3 films of these." in said
    assert "every object has a cell of its own" in said
    drawn = cv2.imread(str(page))
    assert drawn is not None
    assert drawn.shape == (28 + 386, 3 * 386, 3)
    assert run(folder, "--page", str(page)) == 1
    assert "is there already: nothing is overwritten" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("crowds", "sentence"),
    [
        (1, "All objects are crowds. Crowd regions are not trained on"),
        (0, "No image shows an object: there is nothing to train on."),
    ],
)
def test_nothing_to_train_on_ends_the_examination(
    crowds: int, sentence: str, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    load(tmp_path, *[{"iscrowd": 1}] * crowds)
    assert run(tmp_path) == 1
    said = capsys.readouterr()
    assert said.err.splitlines()[-1].startswith(sentence)
    assert f"1 image, {crowds} object" in said.out


@pytest.mark.parametrize("name", ["page.html", "page", "page.jpg"])
def test_a_page_is_a_png(
    name: str, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / name
    assert run(disc_folder(tmp_path / "discs", 1), "--page", str(page)) == 1
    assert capsys.readouterr().err == f"{page} must end with .png: the page is a picture\n"
    assert not page.exists()


def test_faults_end_the_examination(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = disc_folder(tmp_path / "discs", 3)
    (folder / "0.png").write_bytes(b"not a picture")
    cv2.imwrite(str(folder / "2.png"), np.zeros((5, 5), np.uint8))
    assert run(folder) == 1
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "image 10 cannot be decoded: 0.png: the 13 bytes are none of DICOM, PNG, JPEG and TIFF by "
        "their signature",
        "image 12 is 5 x 5 pixels, its annotations are for 80 x 100",
    ]


def test_outlines_that_the_canvas_cannot_hold(tmp_path: Path) -> None:
    small, large = ring(20, 20, 5), ring(8, 40, 16)
    data = load(tmp_path, {"segmentation": small}, {"segmentation": large})
    coarse, fine = (highest_precision(data, (side, side)) for side in (32, 256))
    assert coarse is not None
    assert fine == pytest.approx(1)
    assert coarse < 0.5
    fit = fit_canvas(data, (32, 32))
    (found,) = find_coarseness(fit)
    assert f"with an AP of {coarse:.2f}" in found.sentence
    bounds = [highest_precision(data, (side, side)) or 0 for side in range(32, 257, 32)]
    # The first that holds nine tenths of them, past one that holds no more than a smaller one.
    first = next(place for place, bound in enumerate(bounds) if bound >= 0.9)
    assert fit.size == (32 * (first + 1),) * 2
    assert fit.best == highest_precision(data, fit.size)
    assert f"On a canvas of {fit.size} it is {fit.best:.2f}." in found.sentence
    assert find_coarseness(fit_canvas(data, (256, 256))) == []


def test_films_without_objects_have_no_outlines_to_hold(tmp_path: Path) -> None:
    assert find_coarseness(fit_canvas(load(tmp_path), (64, 64))) == []
