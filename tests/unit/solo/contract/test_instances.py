"""What counts as an answer, and how one is cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solo.contract.instances import Instances


def answer(scores: list[float]) -> Instances:
    """Instance i has the label i and a mask of value i."""
    count = len(scores)
    masks = np.arange(count, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)
    return Instances(masks, np.arange(count), np.array(scores, np.float32))


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("masks", np.zeros((2, 4, 4), np.float32), r"masks must be uint8 .*, not float32"),
        ("masks", np.zeros((2, 16), np.uint8), r"masks must be .*, not uint8 \[2, 16\]"),
        ("masks", np.zeros((3, 4, 4), np.uint8), r"labels must be \[3\], not int64 \[2\]"),
        ("labels", np.zeros((2, 1), np.int64), r"labels must be \[2\], not int64 \[2, 1\]"),
        ("scores", np.zeros(1, np.float32), r"scores must be \[2\], not float32 \[1\]"),
    ],
)
def test_parts_that_do_not_fit_are_refused(field: str, value: Any, sentence: str) -> None:
    parts: dict[str, Any] = {
        "masks": np.zeros((2, 4, 4), np.uint8),
        "labels": np.zeros(2, np.int64),
        "scores": np.ones(2, np.float32),
    }
    assert len(Instances(**parts)) == 2
    with pytest.raises(ValueError, match=sentence):
        Instances(**{**parts, field: value})


@given(
    st.lists(st.floats(0.015625, 1, width=32), max_size=8),
    st.floats(0, 1, width=32),
    st.integers(0, 10),
)
def test_select_keeps_the_first_that_score_enough(
    scores: list[float], threshold: float, most: int
) -> None:
    scores = sorted(scores, reverse=True)
    found = answer(scores).select(threshold, most)
    expected = [index for index, score in enumerate(scores) if score >= threshold][:most]
    assert found.labels.tolist() == expected
    assert found.masks[:, 0, 0].tolist() == expected
    assert found.scores.tolist() == [scores[index] for index in expected]


def test_slots_without_an_instance_are_left_out() -> None:
    masks = np.arange(4, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), np.uint8)
    found = Instances.from_outputs(
        np.array([0.9, 0.4, 0, 0], np.float32), np.array([1, 0, -1, -1]), masks
    )
    assert found.labels.tolist() == [1, 0]
    assert found.masks[:, 0, 0].tolist() == [0, 1]
    np.testing.assert_array_equal(found.scores, np.array([0.9, 0.4], np.float32))


def test_an_image_may_hold_nothing() -> None:
    found = Instances.from_outputs(
        np.zeros(3, np.float32), np.full(3, -1), np.zeros((3, 2, 2), np.uint8)
    )
    assert len(found) == 0
    assert len(found.select(0, 10)) == 0
