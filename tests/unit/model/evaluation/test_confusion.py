"""The confusion matrix, worked out by hand, and against AP's own matches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.evaluation.confusion import confusion_matrix
from tests.support.scenes import random_scene, scene


def test_each_kind_of_error_has_its_cell(tmp_path: Path) -> None:
    objects = [
        [((0, 0, 20), 0), ((30, 0, 20), 1), ((60, 0, 20), 0)],
        [((0, 40, 20), 1), ((50, 30, 40), 11)],
    ]
    found = [
        [
            ((0, 0, 20), 0, 0.9),  # a disc as a disc
            ((30, 0, 20), 0, 0.8),  # a square as a disc
            ((1, 0, 20), 0, 0.7),  # the first disc once more: it is not there
            ((1, 0, 20), 1, 0.6),  # and as a square
            ((60, 0, 20), 0, 0.2),  # the last disc, but below the threshold: it is missed
        ],
        [((60, 40, 20), 1, 0.9)],  # in a crowd; the square beside it is missed
    ]
    data, predictions, precision = scene(tmp_path, objects, found)
    matrix = confusion_matrix(data, predictions, precision, 0.3)
    assert matrix.tolist() == [[1, 0, 1], [1, 0, 1], [1, 1, 0]]


def test_the_better_overlap_is_the_pair(tmp_path: Path) -> None:
    objects = [[((20, 0, 20), 0), ((22, 0, 20), 0)]]
    found = [[((21, 0, 20), 1, 0.9), ((22, 0, 20), 1, 0.8)]]
    data, predictions, precision = scene(tmp_path, objects, found)
    matrix = confusion_matrix(data, predictions, precision, 0.3)
    assert matrix.tolist() == [[0, 2, 0], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("threshold", [0.05, 0.4, 0.8])
@pytest.mark.parametrize("seed", range(5))
def test_all_objects_and_all_instances_are_in_it_once(
    seed: int, threshold: float, tmp_path: Path
) -> None:
    data, predictions, precision = random_scene(tmp_path, seed)
    matrix = confusion_matrix(data, predictions, precision, threshold)
    objects = [a.label for r in data.images for a in r.annotations if not a.is_crowd]
    assert matrix[:2].sum(1).tolist() == np.bincount(objects, minlength=2).tolist()
    shown: list[int] = []
    right: list[int] = []
    for record, instances, _ in predictions:
        at_half = precision.matches[record.image_id][0]
        part = (instances.scores >= threshold) & (at_half != -2)
        shown += instances.labels[part].tolist()
        right += instances.labels[part & (at_half >= 0)].tolist()
    assert matrix[:, :2].sum(0).tolist() == np.bincount(shown, minlength=2).tolist()
    assert matrix.diagonal()[:2].tolist() == np.bincount(right, minlength=2).tolist()
    assert matrix[2, 2] == 0
