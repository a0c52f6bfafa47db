"""The letterbox: its geometry, its grey values, and the way back."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox

sides = st.integers(1, 400)
canvas_sides = st.integers(32, 300)


def soft_mask(canvas: npt.NDArray[np.float32], stride: int) -> npt.NDArray[np.uint8]:
    """What a perfect network answers to a canvas that shows a white object: its mean a cell."""
    height, width = (side // stride for side in canvas.shape)
    cells = canvas.reshape(height, stride, width, stride).mean((1, 3))
    soft: npt.NDArray[np.uint8] = np.round(cells * 255).astype(np.uint8)
    return soft


def one(mask: npt.NDArray[np.uint8]) -> Instances:
    return Instances(mask[None], np.zeros(1, np.int64), np.ones(1, np.float32))


@pytest.mark.parametrize(
    ("image_size", "canvas_size", "top_left", "size"),
    [
        ((100, 100), (64, 64), (0, 0), (64, 64)),
        ((100, 50), (64, 64), (0, 16), (64, 32)),  # tall
        ((50, 100), (64, 64), (16, 0), (32, 64)),  # wide
        ((10, 20), (64, 128), (0, 0), (64, 128)),  # enlarged
        ((3000, 1), (64, 64), (0, 31), (64, 1)),  # a side never vanishes
        ((2500, 3000), (256, 256), (21, 0), (213, 256)),
    ],
)
def test_worked_examples(
    image_size: tuple[int, int],
    canvas_size: tuple[int, int],
    top_left: tuple[int, int],
    size: tuple[int, int],
) -> None:
    box = Letterbox.fit(image_size, canvas_size)
    assert (box.top, box.left) == top_left
    assert (box.height, box.width) == size


@given(sides, sides, canvas_sides, canvas_sides)
def test_image_is_as_large_as_fits_centred_and_in_its_aspect(
    height: int, width: int, canvas_height: int, canvas_width: int
) -> None:
    box = Letterbox.fit((height, width), (canvas_height, canvas_width))
    assert box.height == canvas_height or box.width == canvas_width
    below, right = (
        canvas_height - box.top - box.height,
        canvas_width - box.left - box.width,
    )
    assert 0 <= below - box.top <= 1
    assert 0 <= right - box.left <= 1
    scale = min(canvas_height / height, canvas_width / width)
    assert box.height == pytest.approx(max(1, height * scale), abs=0.5)
    assert box.width == pytest.approx(max(1, width * scale), abs=0.5)


@given(sides, sides, st.booleans())
@settings(max_examples=30)
def test_white_fills_the_image_part_and_black_the_rest(height: int, width: int, wide: bool) -> None:
    box = Letterbox.fit((height, width), (64, 96))
    white = np.full((height, width), 255, np.uint8)
    canvas = box.apply(white.astype(np.uint16) * np.uint16(257) if wide else white)
    assert canvas.dtype == np.float32
    assert canvas.shape == (64, 96)
    expected = np.zeros((64, 96))
    expected[box.top : box.top + box.height, box.left : box.left + box.width] = 1
    np.testing.assert_allclose(canvas, expected, atol=1e-6)
    assert canvas.max() <= 1


def test_one_pixel_fills_the_canvas() -> None:
    canvas = Letterbox.fit((1, 1), (64, 96)).apply(np.array([[51]], np.uint8))
    np.testing.assert_allclose(canvas[:, 16:80], 0.2, atol=1e-6)
    assert not canvas[:, :16].any()
    assert not canvas[:, 80:].any()


@pytest.mark.parametrize("size", [(240, 200), (40, 30), (64, 64)])
def test_uint16_of_the_same_picture_gives_the_same_canvas(size: tuple[int, int]) -> None:
    picture = np.random.default_rng(3).integers(0, 256, size).astype(np.uint8)
    box = Letterbox.fit(size, (64, 64))
    fine = box.apply(picture.astype(np.uint16) * np.uint16(257))
    # Eight bits are rounded to whole greys once more on the way.
    np.testing.assert_allclose(box.apply(picture), fine, atol=1 / 255)


def test_shrinking_averages() -> None:
    picture = np.random.default_rng(4).integers(0, 65536, (192, 192)).astype(np.uint16)
    canvas = Letterbox.fit((192, 192), (64, 64)).apply(picture)
    expected = picture.reshape(64, 3, 64, 3).mean((1, 3)) / 65535
    np.testing.assert_allclose(canvas, expected, atol=1 / 65535)


@pytest.mark.parametrize(
    ("size", "blur", "tolerance"),
    [
        ((1024, 512), 0.0, 4 / 65535),  # whole ratios: nothing but rounding
        # Else a canvas pixel's edge may lie within a pixel that was halved: one part in a hundred.
        ((512, 768), 8.0, 0.01),
        ((514, 770), 8.0, 0.01),  # halved once
        ((513, 770), 8.0, 1 / 255),  # not halved
    ],
)
def test_a_large_film_is_averaged_whether_or_not_it_can_be_halved_first(
    size: tuple[int, int], blur: float, tolerance: float
) -> None:
    picture = np.random.default_rng(5).uniform(0, 65535, size)
    if blur:
        smooth = np.asarray(cv2.GaussianBlur(picture, (0, 0), blur), np.float64)
        picture = (smooth - smooth.min()) / np.ptp(smooth) * 65535
    film = picture.round().astype(np.uint16)
    box = Letterbox.fit(size, (64, 64))
    found = box.apply(film)[box.top : box.top + box.height, box.left : box.left + box.width]
    plain = cv2.resize(
        film.astype(np.float64), (box.width, box.height), interpolation=cv2.INTER_AREA
    )
    np.testing.assert_allclose(found, plain / 65535, atol=tolerance)


@pytest.mark.parametrize(
    ("size", "canvas_size"),
    [((300, 220), (128, 128)), ((90, 200), (128, 128)), ((50, 60), (128, 192)), ((128, 128),) * 2],
)
def test_a_mask_comes_back_where_it_was(
    size: tuple[int, int], canvas_size: tuple[int, int]
) -> None:
    drawn = np.zeros(size, np.uint8)
    centre = (round(size[1] * 0.4), round(size[0] * 0.55))
    cv2.ellipse(drawn, centre, (size[1] // 4, size[0] // 3), 20, 0, 360, 255, -1)
    box = Letterbox.fit(size, canvas_size)
    for stride in (1, 4):
        restored = box.restore(one(soft_mask(box.apply(drawn), stride)))[0]
        overlap, union = (restored & (drawn > 0)).sum(), (restored | (drawn > 0)).sum()
        assert overlap / union > 0.97
        # Nor is it shifted: the centre of mass stays within a quarter of a canvas pixel.
        pixel = max(size[0] / canvas_size[0], size[1] / canvas_size[1])
        for found, true in zip(np.nonzero(restored), np.nonzero(drawn), strict=True):
            assert found.mean() == pytest.approx(true.mean(), abs=0.25 * max(1, pixel))


def test_the_threshold_is_exclusive_and_moves_the_edge() -> None:
    box = Letterbox.fit((8, 8), (8, 8))
    ramp = np.tile(np.array([0, 51, 102, 153, 204, 255, 255, 255], np.uint8), (8, 1))
    assert box.restore(one(ramp), 0.6)[0, 0].tolist() == [False] * 4 + [True] * 4
    assert box.restore(one(ramp), 0.5)[0, 0].tolist() == [False] * 3 + [True] * 5


def test_no_instances_give_no_masks() -> None:
    nothing = Instances(
        np.empty((0, 16, 16), np.uint8), np.empty(0, np.int64), np.empty(0, np.float32)
    )
    masks = Letterbox.fit((30, 20), (64, 64)).restore(nothing)
    assert masks.shape == (0, 30, 20)
    assert masks.dtype == np.bool_


@pytest.mark.parametrize(
    ("image_size", "canvas_size"), [((0, 5), (64, 64)), ((5, 0), (64, 64)), ((5, 5), (0, 64))]
)
def test_nothing_cannot_be_fitted(
    image_size: tuple[int, int], canvas_size: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match="has no pixels"):
        Letterbox.fit(image_size, canvas_size)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((20, 30), np.uint8),  # height and width mistaken
        np.zeros((30, 20, 3), np.uint8),
        np.zeros((30, 20), np.float32),
        np.zeros((30, 20), np.int16),
    ],
)
def test_another_image_is_refused(image: npt.NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 or uint16 \(30, 20\), got"):
        Letterbox.fit((30, 20), (64, 64)).apply(image)
