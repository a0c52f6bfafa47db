"""All figures on answers whose quality is known, and the report of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from model import evaluate
from model.data.coco import CocoDataset, DatasetError, load_coco
from model.evaluation.images import Prediction, encode
from model.evaluation.measure import assess
from model.evaluation.pictures import FOUND_COLOUR, TRUE_COLOUR, draw_image
from model.evaluation.quality import Quality
from model.evaluation.report import as_markdown
from model.network.checkpoint import save_checkpoint
from solo.contract.instances import Instances
from tests.support.coco_folder import (
    DISC,
    SIZE,
    SQUARE,
    Document,
    annotation,
    disc_folder,
    document,
    image,
    write,
)
from tests.support.tiny import lively, tiny_config, tiny_preset


def square(left: int, top: int, side: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros(SIZE, np.bool_)
    mask[top : top + side, left : left + side] = True
    return mask


def ring(left: int, top: int, side: int) -> list[list[int]]:
    right, bottom = left + side, top + side
    return [[left, top, right, top, right, bottom, left, bottom]]


def load(folder: Path, *objects: Document, spacing: object = None) -> CocoDataset:
    annotations = [annotation(id=i, **fields) for i, fields in enumerate(objects)]
    entry = image(pixel_spacing_mm=spacing)
    content = document(images=[entry], annotations=annotations)
    return load_coco(write(folder, content, {"film.png": np.full(SIZE, 90, np.uint8)}))


def answer(data: CocoDataset, *found: tuple[npt.NDArray[np.bool_], int, float]) -> Prediction:
    labels = np.array([label for _, label, _ in found], np.int64)
    scores = np.array([score for _, _, score in found], np.float32)
    soft = np.zeros((len(found), 4, 4), np.uint8)
    return data.images[0], Instances(soft, labels, scores), [encode(mask) for mask, _, _ in found]


def quality_of(data: CocoDataset, *found: tuple[npt.NDArray[np.bool_], int, float]) -> Quality:
    return assess(data, [answer(data, *found)])[0]


def test_each_size_and_class_has_its_ap(tmp_path: Path) -> None:
    data = load(
        tmp_path,
        {"segmentation": ring(0, 0, 20), "category_id": DISC},  # small
        {"segmentation": ring(30, 10, 60), "category_id": SQUARE},  # medium
    )
    quality = quality_of(data, (square(30, 10, 60), 1, 0.9), (square(60, 60, 20), 0, 0.8))
    assert quality.ap == pytest.approx(
        {"ap": 0.5, "ap50": 0.5, "ap75": 0.5, "ap_small": 0, "ap_medium": 1, "ap_large": None}
    )
    assert quality.classes["disc"].ap == 0
    assert quality.classes["square"].ap == pytest.approx(1)
    assert [own.objects for own in quality.classes.values()] == [1, 1]
    assert quality.classes["square"].dice == 1
    assert (quality.films, quality.objects) == (1, 2)


def test_classes_keep_their_figures_in_whatever_order_their_ids_come(tmp_path: Path) -> None:
    content = document(
        categories=[{"id": 9, "name": "square"}, {"id": 3, "name": "disc"}],
        annotations=[annotation(id=0, category_id=9, segmentation=ring(10, 10, 30))],
    )
    data = load_coco(write(tmp_path, content, {"film.png": np.zeros(SIZE, np.uint8)}))
    quality = quality_of(data, (square(10, 10, 30), 0, 0.9))
    assert quality.classes["square"].ap == pytest.approx(1)
    assert quality.classes["disc"].ap is None


def test_outlines_are_measured_in_pixels_and_millimetres(tmp_path: Path) -> None:
    segmentation = {"segmentation": ring(10, 10, 50)}
    found = (square(14, 10, 50), 1, 0.9)
    plain = quality_of(load(tmp_path / "a", segmentation), found).boundary
    assert plain.hausdorff95_px == pytest.approx(4)
    assert 1 < (plain.mean_px or 0) < 4
    assert (plain.objects, plain.measured_mm, plain.mean_mm) == (1, 0, None)
    known = quality_of(load(tmp_path / "b", segmentation, spacing=[0.5, 0.5]), found).boundary
    assert known.hausdorff95_mm == pytest.approx(2)
    assert known.mean_mm == pytest.approx((plain.mean_px or 0) / 2)
    oblong = quality_of(load(tmp_path / "c", segmentation, spacing=[0.5, 0.7]), found).boundary
    assert oblong.measured_mm == 0


def test_what_was_not_found_has_no_outline(tmp_path: Path) -> None:
    data = load(tmp_path, {"segmentation": ring(10, 10, 30)})
    quality = quality_of(data, (square(32, 10, 30), 1, 0.9))
    assert quality.dice == pytest.approx(8 / 30)
    assert quality.boundary.objects == 0
    assert quality.boundary.mean_px is None


def test_scores_are_calibrated_by_cocos_matching(tmp_path: Path) -> None:
    data = load(
        tmp_path,
        {"segmentation": ring(0, 0, 30)},
        {"segmentation": ring(60, 40, 30), "iscrowd": 1},
    )
    quality = quality_of(
        data,
        (square(0, 0, 30), 1, 0.95),
        (square(1, 0, 30), 1, 0.85),  # a second one of the same object is wrong
        (square(60, 40, 30), 1, 0.75),  # within a crowd: neither
        (square(40, 0, 10), 0, 0.05),  # of a class without objects
    )
    counted = {round(b.low, 1): (b.count, b.precision) for b in quality.calibration if b.count}
    assert counted == {0.9: (1, 1.0), 0.8: (1, 0.0), 0.0: (1, 0.0)}
    assert quality.calibration_error == pytest.approx((0.05 + 0.85 + 0.05) / 3, abs=1e-6)


def test_instances_without_any_object_are_all_wrong(tmp_path: Path) -> None:
    quality = quality_of(load(tmp_path), (square(0, 0, 30), 1, 0.65))
    assert quality.calibration_error == pytest.approx(0.65)
    assert quality.ap["ap"] is None
    nothing = quality_of(load(tmp_path))
    assert nothing.calibration_error is None
    json.dumps(nothing.to_dict(), allow_nan=False)


def test_the_worth_of_a_film_falls_with_what_is_missing_and_what_is_too_much(
    tmp_path: Path,
) -> None:
    data = load(tmp_path, {"segmentation": ring(0, 0, 30)}, {"segmentation": ring(40, 0, 30)})
    right, other, wrong = (square(x, y, 30) for x, y in ((0, 0), (40, 0), (0, 40)))
    found = [
        [(right, 1, 0.9), (other, 1, 0.9)],
        [(right, 1, 0.9), (other, 1, 0.9), (wrong, 1, 0.4)],
        [(right, 1, 0.9)],
        [(right, 1, 0.9), (other, 1, 0.9), (wrong, 1, 0.2)],  # not shown
    ]
    worths = [assess(data, [answer(data, *each)])[1][0].worth for each in found]
    assert worths == pytest.approx([1, 2 / 3, 1 / 2, 1])
    empty = load(tmp_path / "empty")
    assert assess(empty, [answer(empty)])[1][0].worth == 1


def test_tables_leave_nothing_out(tmp_path: Path) -> None:
    data = load(tmp_path, {"segmentation": ring(0, 0, 30), "category_id": DISC})
    text = as_markdown(quality_of(data, (square(0, 0, 30), 0, 0.93)))
    assert "| AP | 1.000 |" in text
    assert "| AP, larger | - |" in text
    assert "| disc | 1 | 1.000 | 1.000 | 1.000 |" in text
    assert "| square | 0 | - | - | - |" in text
    assert "| 0.9 to 1.0 | 1 | 0.930 | 1.000 |" in text


def test_a_picture_has_objects_on_the_left_and_instances_on_the_right(tmp_path: Path) -> None:
    data = load(tmp_path, {"segmentation": ring(0, 40, 30)})
    film = assess(data, [answer(data, (square(60, 40, 30), 1, 0.9))])[1][0]
    picture = draw_image(film, data.class_names)
    height, width = picture.shape[0], picture.shape[1] // 2
    assert max(height, width) == 768

    def columns(colour: tuple[int, int, int]) -> tuple[float, float]:
        places = np.argwhere((picture == colour).all(-1))[:, 1] / width * SIZE[1]
        return float(places.min()), float(places.max())

    assert columns(TRUE_COLOUR) == pytest.approx((0, 30), abs=1)
    assert columns(FOUND_COLOUR) == pytest.approx((SIZE[1] + 60, SIZE[1] + 90), abs=1)


@pytest.mark.parametrize("spacing", [[0.1], [0.1, 0], [0.1, -1], "0.1", [0.1, "0.1"]])
def test_a_spacing_that_cannot_be_is_a_fault(spacing: object, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="image 7: 'pixel_spacing_mm' must be two lengths"):
        load(tmp_path, spacing=spacing)


def test_one_command_makes_the_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = disc_folder(tmp_path / "discs", 5)
    checkpoint = tmp_path / "checkpoint.pt"
    preset = replace(tiny_preset(1), model=tiny_config())
    save_checkpoint(checkpoint, preset, {"weights": lively(preset.model).state_dict()})
    command = [str(checkpoint), "--data", str(folder), "--fold", "0", "--folds", "2"]
    report = tmp_path / "report"
    assert evaluate.main([*command, "--report", str(report), "--worst", "2"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((report / "metrics.json").read_text())
    assert {"ap", "ap50", "ap75", "dice", "right_count", "classes", "boundary"} <= printed.keys()
    assert printed["films"] in (2, 3)
    text = (report / "report.md").read_text()
    pictures = sorted(path.name for path in report.glob("*.png"))
    figures = ["confusion.png", "precision_recall.png"]
    assert pictures == [*figures, "worst-01.png", "worst-02.png"]
    assert all(f"({name})" in text for name in pictures)
    assert "score threshold" in text
    assert cv2.imread(str(report / pictures[0])) is not None
    before = (report / "report.md").read_bytes()
    assert evaluate.main([*command, "--report", str(report)]) == 1
    assert "is not empty: nothing is overwritten" in capsys.readouterr().err
    assert (report / "report.md").read_bytes() == before
