"""AP, curves and matches against pycocotools on its own files, and worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from model.data.coco import CocoDataset
from model.evaluation.average_precision import NO_MATCH, NOT_COUNTED
from model.evaluation.images import Prediction
from model.evaluation.measure import assess
from tests.support.scenes import random_scene, scene


def reference(folder: Path, data: CocoDataset, predictions: list[Prediction]) -> COCOeval:
    """COCOeval on the data set's own file and on a file of results, as its users call it."""
    document = json.loads((folder / "annotations.json").read_text())
    for entry in document["annotations"]:
        ring = np.reshape(entry["segmentation"], (-1, 2))
        entry["area"] = float(np.ptp(ring[:, 0]) * np.ptp(ring[:, 1]))
        entry["bbox"] = [*ring.min(0).tolist(), *np.ptp(ring, 0).tolist()]
        entry["id"] += 1  # pycocotools takes an id of 0 for no match
    (folder / "truth.json").write_text(json.dumps(document))
    results: list[dict[str, Any]] = [
        {
            "image_id": record.image_id,
            "category_id": data.category_ids[label],
            "score": float(score),
            "segmentation": {"size": list(rle["size"]), "counts": rle["counts"].decode()},
        }
        for record, instances, rles in predictions
        for label, score, rle in zip(instances.labels, instances.scores, rles, strict=True)
    ]
    (folder / "results.json").write_text(json.dumps(results))
    truth = COCO(str(folder / "truth.json"))
    evaluation = COCOeval(truth, truth.loadRes(str(folder / "results.json")), "segm")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation


@pytest.mark.parametrize("seed", range(6))
def test_figures_and_curves_are_pycocotools(seed: int, tmp_path: Path) -> None:
    data, predictions, found = random_scene(tmp_path, seed)
    evaluation = reference(tmp_path, data, predictions)
    for (name, value), expected in zip(found.overall.items(), evaluation.stats, strict=False):
        assert (-1 if value is None else value) == expected, name
    for row, at in enumerate((0, 5)):  # of IoU .5, .55, ...
        np.testing.assert_array_equal(
            found.curves[row], evaluation.eval["precision"][at, :, :, 0, 2].T
        )


def test_a_curve_worked_out_by_hand(tmp_path: Path) -> None:
    """Right, wrong, right: precision is 1 to a recall of 1/2, and 2/3 from there to 1."""
    objects = [[((0, 0, 20), 1), ((40, 0, 20), 1)]]
    found = [[((0, 0, 20), 1, 0.9), ((70, 40, 20), 1, 0.8), ((40, 0, 20), 1, 0.7)]]
    _, _, precision = scene(tmp_path, objects, found)
    expected = np.where(np.linspace(0, 1, 101) <= 0.5, 1, 2 / 3)
    np.testing.assert_allclose(precision.curves[:, 1], [expected, expected])
    assert (precision.curves[:, 0] == -1).all()  # no disc is there
    assert precision.classes[1][1] == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_matches_are_places_among_an_images_annotations(tmp_path: Path) -> None:
    objects = [[((0, 0, 20), 1)], [((60, 40, 30), 11), ((0, 0, 20), 0), ((30, 0, 20), 1)]]
    found = [
        [((0, 0, 20), 0, 0.9)],  # of another class
        [
            ((32, 0, 20), 1, 0.9),  # IoU 18 / 22: right at both
            ((5, 0, 20), 0, 0.8),  # IoU 15 / 25: right at 0.5
            ((65, 45, 20), 1, 0.7),  # in the crowd
            ((30, 0, 20), 1, 0.6),  # of an object that is taken
        ],
    ]
    _, _, precision = scene(tmp_path, objects, found)
    assert precision.matches[7].tolist() == [[NO_MATCH], [NO_MATCH]]
    assert precision.matches[8].tolist() == [
        [2, 1, NOT_COUNTED, NO_MATCH],
        [2, NO_MATCH, NOT_COUNTED, NO_MATCH],
    ]


def test_nothing_found_is_nothing_in_each_range_that_has_objects(tmp_path: Path) -> None:
    """As COCOeval has it where one instance is found, and it is wrong."""
    objects = [[((0, 0, 20), 1), ((30, 10, 60), 1)]]  # small and medium
    data, predictions, precision = scene(tmp_path / "a", objects, [[]])
    zero = {"ap": 0, "ap50": 0, "ap75": 0, "ap_small": 0, "ap_medium": 0, "ap_large": None}
    assert precision.overall == zero
    assert precision.classes == ((None, None), (0, 0))
    quality, _ = assess(data, predictions)
    assert (quality.proposed, quality.calibration_error) == (None, None)
    _, _, wrong = scene(tmp_path / "b", objects, [[((0, 50, 9), 0, 0.5)]])
    assert wrong.overall == zero
