"""The proposed threshold, worked out by hand and against a plain count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.evaluation.measure import assess
from model.evaluation.threshold import ProposedThreshold, ScoredMatches, propose_threshold
from tests.support.scenes import random_scene, scene

NAMES = ("disc", "square")


def propose(
    *instances: tuple[float, int, bool], objects: tuple[int, int] = (2, 0), lowest: float = 0
) -> ProposedThreshold | None:
    """Of instances with score, label, and whether they are right."""
    scores, labels, right = zip(*instances, strict=True) if instances else ((), (), ())
    matches = ScoredMatches(
        np.array(scores, np.float32).astype(np.float64),
        np.array(labels, np.int64),
        np.array(right, np.bool_),
        np.array(objects, np.int64),
    )
    return propose_threshold(matches, NAMES, lowest)


def test_it_lies_midway_between_the_last_right_and_the_first_wrong_instance() -> None:
    found = propose((0.9, 0, True), (0.8, 0, True), (0.4, 0, False))
    assert found is not None
    assert found.score_threshold == 0.6  # of 0.41 to 0.80
    assert (found.precision, found.recall, found.f1) == (1, 1, 1)


def test_the_figures_of_a_class_are_worked_out_by_hand() -> None:
    found = propose((0.9, 0, True), (0.8, 0, False), (0.7, 0, True), objects=(3, 0))
    assert found is not None
    # From 0.7 on two of three instances are right, and two of three objects found: F1 2/3.
    assert found.score_threshold == 0.35
    own = found.classes["disc"]
    assert (own.precision, own.recall, own.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    absent = found.classes["square"]
    assert (absent.precision, absent.recall, absent.f1) == (None, None, None)


def test_a_model_has_no_threshold_below_its_lowest() -> None:
    found = propose((0.9, 0, True), (0.8, 0, True), lowest=0.3)
    assert found is not None
    assert found.score_threshold == 0.55
    assert propose((0.2, 0, True), lowest=0.3) is None


def test_nothing_right_proposes_nothing() -> None:
    assert propose() is None
    assert propose((0.9, 0, False)) is None
    assert propose((0.9, 0, False), objects=(0, 0)) is None


def test_classes_count_alike_however_many_objects_they_have() -> None:
    many = [(0.5, 0, True)] * 10 + [(0.3, 0, True)] * 90
    rare = [(0.8, 1, True)] + [(0.4, 1, False)] * 9
    found = propose(*many, *rare, objects=(100, 1))
    assert found is not None
    # F1 from 0.3 on: 1 and 2 / 11; from 0.41 on: 20 / 110 and 1, which is as good; the first wins.
    assert found.score_threshold == 0.15


@pytest.mark.parametrize("seed", range(8))
def test_no_other_threshold_is_better_by_more_than_a_hundredth(seed: int, tmp_path: Path) -> None:
    data, predictions, precision = random_scene(tmp_path, seed)
    wanted = {a.label for r in data.images for a in r.annotations if not a.is_crowd}

    def mean_f1(threshold: float) -> float:
        figures = []
        for label in wanted:
            shown = right = 0
            for record, instances, _ in predictions:
                for place, (score, own) in enumerate(
                    zip(instances.scores, instances.labels, strict=True)
                ):
                    match = precision.matches[record.image_id][0][place]
                    if own == label and score >= np.float32(threshold) and match != -2:
                        shown, right = shown + 1, right + int(match >= 0)
            objects = sum(
                a.label == label and not a.is_crowd for r in data.images for a in r.annotations
            )
            figures.append(2 * right / (shown + objects))
        return sum(figures) / len(figures)

    proposed = assess(data, predictions, None)[0].proposed
    best = max(mean_f1(step / 100) for step in range(101))
    assert proposed is not None
    assert proposed.f1 == pytest.approx(mean_f1(proposed.score_threshold))
    assert proposed.f1 >= best - 0.01 - 1e-9


def test_dice_and_counts_are_told_at_the_threshold_that_is_proposed(tmp_path: Path) -> None:
    objects = [[((0, 0, 20), 1)]]
    found = [[((0, 0, 20), 1, 0.9), ((50, 40, 20), 1, 0.5)]]
    data, predictions, _ = scene(tmp_path, objects, found)
    chosen, _ = assess(data, predictions, None)
    assert chosen.proposed is not None
    assert chosen.score_threshold == chosen.proposed.score_threshold == 0.7
    assert chosen.right_count == 1
    assert assess(data, predictions, 0.3)[0].right_count == 0
