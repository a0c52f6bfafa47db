"""Outline uncertainty: pixels of doubt over the root of the area."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solo.masks.uncertainty import outline_uncertainty


def test_a_worked_example() -> None:
    masks = np.zeros((3, 6, 6), np.uint8)
    masks[0, 1:4, 1:4] = 255  # sharp
    masks[1, 1:4, 1:4] = [[50, 51, 205], [204, 128, 127], [255, 255, 255]]
    # 128, 204, 205 and three of 255 are the area; 51, 127, 128 and 204 are in doubt.
    found = outline_uncertainty(masks, 0.5)
    np.testing.assert_allclose(found, [0, 4 / 6**0.5, 0])


def test_the_threshold_moves_the_area_and_not_the_doubt() -> None:
    mask = np.repeat(np.array([0, 30, 60, 100, 160, 230], np.uint8), 4)[None, None]
    doubt = 12
    for threshold, area in ((0.1, 20), (0.5, 8), (0.8, 4), (0.95, 0)):
        found = outline_uncertainty(mask, threshold)
        np.testing.assert_allclose(found, doubt / max(area, 1) ** 0.5)


def test_a_mask_of_twice_the_size_is_as_uncertain() -> None:
    large = np.zeros((1, 40, 40), np.uint8)
    large[0, 4:36, 4:36], large[0, 5:35, 5:35] = 100, 255
    small = np.zeros((1, 40, 40), np.uint8)
    small[0, 4:21, 4:21], small[0, 5:20, 5:20] = 100, 255
    # 4 x 31 of 30 x 30 and 4 x 16 of 15 x 15
    one, other = outline_uncertainty(np.concatenate([large, small]), 0.5)
    assert (one, other) == pytest.approx((4 * 31 / 30, 4 * 16 / 15))


@given(st.integers(0, 10**6), st.integers(0, 3), st.sampled_from([0, 0.2, 0.5, 0.6, 1]))
def test_it_is_what_pixel_by_pixel_gives(seed: int, count: int, threshold: float) -> None:
    masks = np.random.default_rng(seed).integers(0, 256, (count, 3, 5), dtype=np.uint8)
    expected = []
    for mask in masks:
        values = mask.ravel().tolist()
        doubt = sum(51 <= value <= 204 for value in values)
        area = sum(value > 255 * threshold for value in values)
        expected.append(doubt / max(area, 1) ** 0.5)
    np.testing.assert_allclose(outline_uncertainty(masks, threshold), expected)
