"""Expected calibration error by hand."""

from __future__ import annotations

import numpy as np
import pytest

from model.evaluation.calibration import calibrate


def test_by_hand() -> None:
    scores = np.array([0.95, 0.91, 1.0, 0.15, 0.12])
    right = np.array([True, True, False, True, False])
    error, bins = calibrate(scores, right)
    assert [item.count for item in bins] == [0, 2, 0, 0, 0, 0, 0, 0, 0, 3]
    assert bins[9].mean_score == pytest.approx(2.86 / 3)
    assert bins[9].precision == pytest.approx(2 / 3)
    assert bins[1].precision == 0.5
    assert error == pytest.approx((3 * (2.86 / 3 - 2 / 3) + 2 * (0.5 - 0.135)) / 5)


def test_scores_that_keep_their_word_have_no_error() -> None:
    scores = np.repeat([0.25, 0.75], 400)
    right = np.tile([True, False, False, False], 100).tolist()
    right += np.tile([True, True, True, False], 100).tolist()
    assert calibrate(scores, np.array(right))[0] == pytest.approx(0)


def test_no_instances_have_no_calibration() -> None:
    error, bins = calibrate(np.empty(0), np.empty(0, np.bool_))
    assert error is None
    assert sum(item.count for item in bins) == 0
