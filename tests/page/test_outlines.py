"""Outlines in the page: exact rings, simplified ones, and paths, against what they enclose."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from hypothesis import given, settings

from tests.page.masks import Mask, counts, masks

TRACE = """([text, height, tolerance]) =>
  outlines.trace(runs.decodeCounts(text), height)
    .map((ring) => [...(tolerance ? outlines.simplify(ring, tolerance) : ring)])"""


def _areas(rings: list[list[int]]) -> list[float]:
    points = (np.reshape(ring, (-1, 2)).T for ring in rings)
    return [float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2 for x, y in points]


@given(mask=masks())
@settings(max_examples=150, deadline=None)
def test_rings_enclose_the_mask_exactly(modules: Any, mask: Mask) -> None:
    rings = modules.evaluate(TRACE, [counts(mask), mask.shape[0], 0])
    inside = np.zeros(mask.shape, bool)
    for ring in rings:
        points = np.reshape(ring, (-1, 2))
        # Each corner turns: the sides are vertical and horizontal in turn.
        steps = np.roll(points, -1, 0) - points
        assert ((steps == 0).sum(1) == 1).all()
        assert ((steps[:, 0] == 0) != (np.roll(steps, -1, 0)[:, 0] == 0)).all()
        for (x, ay), (bx, by) in zip(points, np.roll(points, -1, 0), strict=True):
            if x == bx:
                inside[min(ay, by) : max(ay, by), x:] ^= True
    assert (inside == mask).all()
    assert sum(_areas(rings)) == mask.sum()
    pieces = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0] - 1
    assert sum(area > 0 for area in _areas(rings)) == pieces


def test_simplified_rings_stay_near(modules: Any) -> None:
    mask = np.zeros((400, 500), np.uint8)
    cv2.ellipse(mask, (250, 200), (210, 150), 20, 0, 360, (1,), -1)
    cv2.circle(mask, (230, 190), 40, (0,), -1)
    exact = modules.evaluate(TRACE, [counts(mask > 0), 400, 0])
    simple = modules.evaluate(TRACE, [counts(mask > 0), 400, 1.5])
    for ring, fewer in zip(exact, simple, strict=True):
        assert len(fewer) < len(ring) / 8
        outline = np.reshape(fewer, (-1, 1, 2)).astype(np.float32)
        points = np.reshape(ring, (-1, 2)).astype(float).tolist()
        assert (
            max(abs(cv2.pointPolygonTest(outline, point, True)) for point in points) <= 1.5 + 1e-6
        )


def test_a_speck_keeps_an_area(modules: Any) -> None:
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    assert _areas(modules.evaluate(TRACE, [counts(mask), 9, 3])) == [1]


@given(mask=masks())
@settings(max_examples=20, deadline=None)
def test_a_path_fills_the_pixels_of_the_mask(modules: Any, mask: Mask) -> None:
    filled = modules.evaluate(
        """([text, height, width]) => {
          const canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d");
          const rings = outlines.trace(runs.decodeCounts(text), height);
          context.fill(outlines.pathOf(rings), "evenodd");
          const { data } = context.getImageData(0, 0, width, height);
          return [...data.filter((_, i) => i % 4 === 3)];
        }""",
        [counts(mask), *mask.shape],
    )
    assert (np.reshape(filled, mask.shape) == mask * 255).all()
