"""Outline uncertainty: pixels of doubt for each pixel of the area."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solo.masks.uncertainty import outline_uncertainty


def test_a_worked_example() -> None:
    masks = np.zeros((3, 6, 6), np.uint8)
    masks[0, 1:4, 1:4] = 255  # sharp
    masks[1, 1:4, 1:4] = [[25, 26, 230], [229, 128, 127], [255, 255, 255]]
    # 128, 229, 230 and three of 255 are the area; 26, 127, 128 and 229 are in doubt.
    np.testing.assert_allclose(outline_uncertainty(masks, 0.5), [0, 4 / 6, 0])


def test_the_threshold_moves_the_area_and_not_the_doubt() -> None:
    mask = np.repeat(np.array([0, 20, 60, 100, 160, 250], np.uint8), 4)[None, None]
    doubt = 12
    for threshold, area in ((0.05, 20), (0.1, 16), (0.5, 8), (0.8, 4), (0.99, 0)):
        found = outline_uncertainty(mask, threshold)
        np.testing.assert_allclose(found, doubt / max(area, 1))


def test_the_same_rim_of_doubt_is_more_of_a_smaller_mask() -> None:
    masks = np.zeros((2, 40, 40), np.uint8)
    masks[0, 4:36, 4:36], masks[0, 5:35, 5:35] = 100, 255
    masks[1, 4:21, 4:21], masks[1, 5:20, 5:20] = 100, 255
    expected = [4 * 31 / 30**2, 4 * 16 / 15**2]
    assert outline_uncertainty(masks, 0.5).tolist() == pytest.approx(expected)


@given(st.integers(0, 10**6), st.integers(0, 3), st.sampled_from([0, 0.2, 0.5, 0.6, 1]))
def test_it_is_what_pixel_by_pixel_gives(seed: int, count: int, threshold: float) -> None:
    masks = np.random.default_rng(seed).integers(0, 256, (count, 3, 5), dtype=np.uint8)
    expected = []
    for mask in masks:
        values = mask.ravel().tolist()
        doubt = sum(25.5 <= value <= 229.5 for value in values)
        area = sum(value > 255 * threshold for value in values)
        expected.append(doubt / max(area, 1))
    np.testing.assert_allclose(outline_uncertainty(masks, threshold), expected)
