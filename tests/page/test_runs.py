"""COCO run lengths in the page: against pycocotools, and painting against a distance transform."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from solo import Segmenter
from tests.page.masks import Mask, counts, decoded, masks, rle

ROOT = Path(__file__).parents[2]
PAINT = """([text, height, width, stroke, erase]) => {
  const before = runs.decodeCounts(text, height * width);
  const after = runs.paint(before, height, width, stroke, erase);
  return [runs.encodeCounts(after), after === before];
}"""


@given(mask=masks())
@settings(max_examples=60, deadline=None)
def test_run_lengths_are_those_of_pycocotools(modules: Any, mask: Mask) -> None:
    text, area, box, hits = modules.evaluate(
        """([text, height, width]) => {
          const mask = runs.decodeCounts(text, height * width), hits = [];
          for (let y = -1; y <= height; y++) for (let x = -1; x <= width; x++)
            if (runs.contains(mask, height, x + .5, y + .5)) hits.push([y, x]);
          return [runs.encodeCounts(mask), runs.areaOf(mask), runs.boxOf(mask, height), hits];
        }""",
        [counts(mask), *mask.shape],
    )
    assert text == counts(mask)
    assert area == mask.sum()
    assert box == coco_mask.toBbox(rle(mask)).tolist()
    assert hits == np.argwhere(mask).tolist()


@given(lengths=st.lists(st.integers(1, 2**27), min_size=1, max_size=16))
@settings(max_examples=40, deadline=None)
def test_lengths_of_large_films_are_those_of_pycocotools(modules: Any, lengths: list[int]) -> None:
    size = [1, sum(lengths)]
    expected = coco_mask.frPyObjects({"size": size, "counts": lengths}, *size)["counts"].decode()
    text, back = modules.evaluate(
        """([lengths, text]) => [runs.encodeCounts(Uint32Array.from(lengths)),
          [...runs.decodeCounts(text)]]""",
        [lengths, expected],
    )
    assert (text, back) == (expected, lengths)


@pytest.mark.parametrize(
    "text", ["", "5", "0", "0000", "é", "P", "o" * 9, "5\x00", "1O", " 5", "oooooo4"]
)
def test_faulty_counts_are_refused_with_a_sentence(modules: Any, text: str) -> None:
    sentence = modules.evaluate(
        """([text, pixels]) => {
          try { runs.decodeCounts(text, pixels ?? undefined) }
          catch (error) { return error.message }
        }""",
        [text, 36 if text == "5" else None],
    )
    assert str(sentence).endswith(".")


def _swept(shape: tuple[int, int], points: list[list[float]], radius: float) -> Mask:
    """Pixels whose centres are at most the radius away from the line, or that have a point."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    near = np.zeros(shape, bool)
    for (ax, ay), (bx, by) in zip([points[0], *points], points, strict=False):
        dx, dy = bx - ax, by - ay
        t = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy or 1), 0, 1)
        near |= np.hypot(x - ax - t * dx, y - ay - t * dy) <= max(radius, 0.5)
        if 0 <= bx < shape[1] and 0 <= by < shape[0]:
            near[int(by), int(bx)] = True
    return near


# Coordinates and radii whose squares have no rounding that a boundary could hang on.
coordinates = st.integers(-90, 290).map(lambda value: value / 16 + 1 / 37)


@given(
    mask=masks(),
    points=st.lists(st.tuples(coordinates, coordinates).map(list), min_size=1, max_size=5),
    radius=st.sampled_from([0.1, 0.5, 0.7313, 1.4377, 3.0291, 20.123]),
    erase=st.booleans(),
)
@settings(max_examples=200, deadline=None)
def test_a_stroke_paints_what_is_near_its_line(
    modules: Any, mask: Mask, points: list[list[float]], radius: float, erase: bool
) -> None:
    near = _swept(mask.shape, points, radius)
    expected = mask & ~near if erase else mask | near
    stroke = {"points": points, "radius": radius}
    text, is_same = modules.evaluate(PAINT, [counts(mask), *mask.shape, stroke, erase])
    assert text == counts(expected)
    assert is_same == bool((expected == mask).all())


def test_a_click_paints_a_pixel_even_at_its_corner(modules: Any) -> None:
    empty = np.zeros((5, 7), bool)
    stroke = {"points": [[3, 2]], "radius": 0.5}
    text, _ = modules.evaluate(PAINT, [counts(empty), 5, 7, stroke, False])
    assert np.argwhere(decoded(text, empty.shape)).tolist() == [[2, 3]]


def test_the_masks_of_an_answer_keep_their_letters(modules: Any) -> None:
    small = cv2.imread(str(ROOT / "examples" / "chest.png"))
    assert small is not None
    film = cv2.imencode(".png", cv2.resize(small, (2500, 3000)))[1].tobytes()
    with Segmenter(ROOT / "model" / "zoo" / "thorax-anatomy.onnx") as segmenter:
        found = segmenter.segment(film).instances
    texts = [instance.rle()["counts"] for instance in found]
    answers = modules.evaluate(
        """(texts) => texts.map((text) => {
          const mask = runs.decodeCounts(text, 3000 * 2500);
          return [runs.encodeCounts(mask), runs.areaOf(mask), runs.boxOf(mask, 3000)];
        })""",
        texts,
    )
    assert len(found) > 20
    assert answers == [
        [text, item.area, list(item.bbox)] for text, item in zip(texts, found, strict=True)
    ]
