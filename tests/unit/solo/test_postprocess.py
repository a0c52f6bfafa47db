"""What of the model's soft masks reaches the answer, in the film's own pixels."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox
from solo.options import Options
from solo.postprocess import native_instances
from solo.result import Instance
from tests.support.engines import manifest

SIDE = 16  # of the mask, on a canvas of 64


def answer(
    masks: npt.NDArray[np.uint8],
    size: tuple[int, int],
    *,
    islands: int = 0,
    max_overlap: float | None = None,
) -> tuple[Instance, ...]:
    labels = np.arange(len(masks), dtype=np.int64) % 2
    scores = np.linspace(0.9, 0.5, len(masks), dtype=np.float32)
    found = Instances(masks, labels, scores)
    return native_instances(
        found, size, Options(max_overlap=max_overlap), manifest(island_pixels=islands)
    )


def with_dot() -> npt.NDArray[np.uint8]:
    masks = np.zeros((1, SIDE, SIDE), np.uint8)
    masks[0, 2:8, 2:6] = 255
    masks[0, 12:15, 12:15] = 120
    masks[0, 13, 13:15] = 250
    return masks


@pytest.mark.parametrize("size", [(64, 64), (16, 16), (40, 30), (1000, 700), (900, 1000)])
def test_an_island_is_in_no_part_of_the_answer(size: tuple[int, int]) -> None:
    masks = with_dot()
    (before,) = answer(masks, size)
    (after,) = answer(masks, size, islands=2)
    masks[0, 8:] = 0
    (expected,) = answer(masks, size)
    assert (after.area, after.bbox, after.rle()) == (expected.area, expected.bbox, expected.rle())
    assert after.polygons() == expected.polygons()
    np.testing.assert_array_equal(after.mask(), expected.mask())
    assert len(after.polygons()) == 1
    assert len(before.polygons()) == 2
    assert before.area > after.area > 0
    assert answer(with_dot(), size, islands=1)[0].rle() == before.rle()


@given(st.integers(0, 10**6), st.integers(1, 200), st.integers(1, 200))
@settings(deadline=None)
def test_nothing_else_of_a_mask_changes(seed: int, height: int, width: int) -> None:
    random = np.random.default_rng(seed)
    noise = random.normal(size=(SIDE, SIDE)).astype(np.float32)
    soft = np.clip(cv2.GaussianBlur(noise, (0, 0), 1) * 500 + 20, 0, 255).astype(np.uint8)[None]
    before, after = (answer(soft, (height, width), islands=n) for n in (0, 6))
    if not before or not after:
        return  # nothing on the film
    gone = before[0].mask() & ~after[0].mask()
    assert not (after[0].mask() & ~before[0].mask()).any()
    # Whole pieces go: what goes touches nothing that stays.
    grown = cv2.dilate(gone.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    if min(height, width) >= 64:
        assert not (grown & after[0].mask()).any()


def test_suppression_compares_the_masks_of_the_answer() -> None:
    masks = np.concatenate([with_dot(), np.zeros((1, SIDE, SIDE), np.uint8)])
    masks[1, 10:16, 10:16] = 255
    assert len(answer(masks, (64, 64), max_overlap=0)) == 1
    assert len(answer(masks, (64, 64), islands=2, max_overlap=0)) == 2


@pytest.mark.parametrize("size", [(16, 16), (64, 64), (1000, 1000), (3000, 3000)])
def test_the_films_size_does_not_change_how_uncertain_an_outline_is(size: tuple[int, int]) -> None:
    # Nine pixels of 120 and two of 250, of which the nine are in doubt less those two.
    (found,) = answer(with_dot(), size)
    assert found.outline_uncertainty == round(7 / 26, 3)
    (cleared,) = answer(with_dot(), size, islands=2)
    assert cleared.outline_uncertainty == round(7 / 24, 3)


def test_what_lies_beside_the_film_is_in_no_doubt() -> None:
    masks = np.zeros((1, SIDE, SIDE), np.uint8)
    masks[0, 4:12, :8] = 255
    masks[0, 4:12, 8] = 120
    masks[0, :4], masks[0, 12:] = 120, 255
    (found,) = answer(masks, (50, 100))  # rows 4 to 11 of the mask
    assert found.outline_uncertainty == round(8 / 64, 3)
    (found,) = answer(masks, (100, 100))
    assert found.outline_uncertainty == round((8 + 4 * SIDE) / 128, 3)


def test_a_film_of_less_than_a_pixel_of_the_mask_has_an_uncertainty() -> None:
    masks = np.full((1, SIDE, SIDE), 150, np.uint8)
    for size in ((1, 3000), (3000, 1), (1, 1)):
        (found,) = answer(masks, size)
        assert found.outline_uncertainty == 1


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from([(64, 64), (48, 80), (60, 100)]))
def test_the_window_is_what_the_film_touches(
    height: int, width: int, canvas: tuple[int, int]
) -> None:
    letterbox = Letterbox.fit((height, width), canvas)
    mask_size = (canvas[0] // 4, canvas[1] // 4)
    touched = np.zeros(canvas, np.bool_)
    rows = slice(letterbox.top, letterbox.top + letterbox.height)
    touched[rows, letterbox.left : letterbox.left + letterbox.width] = True
    cells = touched.reshape(mask_size[0], 4, mask_size[1], 4).any((1, 3))
    expected = np.zeros(mask_size, np.bool_)
    expected[letterbox.window(mask_size)] = True
    np.testing.assert_array_equal(expected, cells)
