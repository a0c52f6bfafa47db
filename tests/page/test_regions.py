"""Holes, pieces and polygons in the page: against OpenCV and pycocotools."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from tests.page.masks import Mask, counts, decoded, masks

CHANGE = """([change, text, height, width]) => {
  const before = runs.decodeCounts(text), after = regions[change](before, height, width);
  return [runs.encodeCounts(after), after === before];
}"""
DRAW = """([polygons, height, width]) =>
  runs.encodeCounts(regions.fromPolygons(polygons, height, width))"""


def _filled(mask: Mask) -> Mask:
    around = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
    _, pieces = cv2.connectedComponents(around, connectivity=4)
    return np.asarray((pieces != pieces[0, 0])[1:-1, 1:-1])


@given(mask=masks())
@settings(max_examples=100, deadline=None)
def test_holes_are_background_without_a_way_out(modules: Any, mask: Mask) -> None:
    text, is_same = modules.evaluate(CHANGE, ["fillHoles", counts(mask), *mask.shape])
    assert text == counts(_filled(mask))
    assert is_same == bool((_filled(mask) == mask).all())


@given(mask=masks())
@settings(max_examples=100, deadline=None)
def test_the_largest_piece_is_one_of_opencvs_largest(modules: Any, mask: Mask) -> None:
    text, is_same = modules.evaluate(CHANGE, ["keepLargest", counts(mask), *mask.shape])
    count, pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    areas = np.bincount(pieces.ravel(), minlength=count)[1:]
    largest = [counts(pieces == i + 1) for i in np.flatnonzero(areas == areas.max(initial=0))]
    assert text in (largest or [counts(mask)])
    assert is_same == (count <= 2)


def _inside(ring: list[float], height: int, width: int) -> Mask:
    """Even-odd by rays down from each pixel's centre."""
    y, x = np.mgrid[:height, :width] + 0.5
    inside = np.zeros((height, width), bool)
    points = np.reshape(ring, (-1, 2))
    for (ax, ay), (bx, by) in zip(np.roll(points, 1, 0), points, strict=True):
        spans = (ax <= x) != (bx <= x)
        inside ^= spans & (y >= ay + (x - ax) / np.where(spans, bx - ax, 1) * (by - ay))
    return inside


# No centre lies on an edge but for chance, where rounding would decide.
points = st.tuples(*[st.integers(-200, 400).map(lambda value: value / 16 + 1 / 37)] * 2)
rings = st.lists(points, min_size=3, max_size=7).map(lambda ring: np.ravel(ring).tolist())


@given(rings=st.lists(rings, min_size=1, max_size=3))
@settings(max_examples=100, deadline=None)
def test_polygons_hold_the_centres_of_their_pixels(modules: Any, rings: list[list[float]]) -> None:
    expected = np.any([_inside(ring, 15, 17) for ring in rings], axis=0)
    assert modules.evaluate(DRAW, [rings, 15, 17]) == counts(expected)


def test_corners_of_pixels_are_whole_numbers(modules: Any) -> None:
    expected = np.zeros((6, 9), bool)
    expected[1:4, 2:7] = True
    text = modules.evaluate(DRAW, [[[2, 1, 7, 1, 7, 4, 2, 4]], 6, 9])
    assert (decoded(text, (6, 9)) == expected).all()


def test_large_polygons_are_those_of_pycocotools(modules: Any) -> None:
    angles = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    radii = 500 + 90 * np.sin(7 * angles)
    points = np.stack([900 + radii * np.cos(angles), 700 + radii * np.sin(angles)], 1).round(2)
    ring = points.ravel().tolist()
    mask = {"size": [1500, 1800], "counts": modules.evaluate(DRAW, [[ring], 1500, 1800])}
    other = coco_mask.frPyObjects([ring], 1500, 1800)
    assert coco_mask.iou([mask], other, [0])[0, 0] > 0.998


HOSTILE = [0, 0, 60000, 9] * 200


@pytest.mark.parametrize(
    "ring",
    [[0, 0, 5, 5], [0, 0, 5, 5, 5], [0, 0, None, 5, 5, 5], [0, 0, 1e300, 5, 5, 5], HOSTILE],
)
def test_hostile_polygons_are_refused_with_a_sentence(modules: Any, ring: list[Any]) -> None:
    sentence = modules.evaluate(
        """([ring]) => {
          try { regions.fromPolygons([ring], 9, 60000) } catch (error) { return error.message }
        }""",
        [ring],
    )
    assert str(sentence).endswith(".")
