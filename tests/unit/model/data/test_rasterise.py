"""Coverage masks and warped films against areas and places worked out by hand."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from model.data.coco import Annotation
from model.data.rasterise import Affine, coverage, warp

CANVAS = (64, 96)
AS_IT_IS: Affine = np.array([[1.0, 0, 0], [0, 1, 0]])
Points = npt.NDArray[np.float64]


def outlined(*rings: Points) -> Annotation:
    return Annotation(0, rings, None, 1.0, is_crowd=False)


def rectangle(left: float, top: float, right: float, bottom: float) -> Points:
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]])


def exact_rectangle(left: float, top: float, right: float, bottom: float) -> Points:
    """The part of every canvas pixel that a rectangle covers."""

    def part(low: float, high: float, count: int) -> Points:
        edges = np.arange(count + 1.0)
        parts: Points = np.minimum(edges[1:], high) - np.maximum(edges[:-1], low)
        return parts.clip(0, 1)

    return np.outer(part(top, bottom, CANVAS[0]), part(left, right, CANVAS[1]))


def polygon_area(points: Points) -> float:
    """By fans of triangles from the first corner."""
    return abs(
        sum(
            float((b[0] - points[0][0]) * (c[1] - points[0][1]))
            - float((c[0] - points[0][0]) * (b[1] - points[0][1]))
            for b, c in pairwise(points[1:])
        )
        / 2
    )


@st.composite
def placements(draw: st.DrawFn) -> Affine:
    """Turns, mirrors and scales about the canvas's middle."""
    angle = draw(st.floats(-math.pi, math.pi))
    scales = draw(st.floats(0.3, 1.1)), draw(st.floats(0.3, 1.1))
    mirror = draw(st.sampled_from([-1, 1]))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = turn @ np.diag([scales[0] * mirror, scales[1]])
    return np.column_stack([linear, np.array([48.0, 32.0])])


coordinates = st.floats(-20, 20)
triangles = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=3).map(
    lambda corners: np.array(corners, np.float64)
)


@pytest.mark.parametrize(
    "sides",
    [
        (10, 20, 30, 40),
        (10.25, 20.5, 30.75, 40.25),
        (-5, -5, 5.5, 70),  # partly off the canvas
        (40.25, 12.25, 40.75, 12.75),  # within one pixel
    ],
)
def test_a_rectangle_covers_its_part_of_every_pixel(
    sides: tuple[float, float, float, float],
) -> None:
    found = coverage(outlined(rectangle(*sides)), AS_IT_IS, CANVAS)
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found / 255, exact_rectangle(*sides), atol=1 / 255)


@given(st.floats(1, 40), st.floats(1, 30), st.floats(41, 95), st.floats(31, 63))
@settings(max_examples=40)
def test_a_rectangle_anywhere_is_right_to_the_supersampling(
    left: float, top: float, right: float, bottom: float
) -> None:
    found = coverage(outlined(rectangle(left, top, right, bottom)), AS_IT_IS, CANVAS)
    # Of four samples along a side, the edge's own may fall to either side of it.
    expected = exact_rectangle(left, top, right, bottom)
    np.testing.assert_allclose(found / 255, expected, atol=0.26)


@given(triangles, placements())
@settings(max_examples=100)
def test_the_coverage_adds_up_to_the_area_times_the_scale(
    triangle: Points, to_canvas: Affine
) -> None:
    expected = polygon_area(triangle) * abs(np.linalg.det(to_canvas[:, :2]))
    placed = triangle @ to_canvas[:, :2].T + to_canvas[:, 2]
    perimeter = float(np.linalg.norm(placed - np.roll(placed, 1, 0), axis=1).sum())
    assume(expected > 1)
    found = coverage(outlined(triangle), to_canvas, CANVAS).sum() / 255
    # No rim: a twentieth of a pixel along the outline; a quarter pixel at each sharp corner.
    assert found == pytest.approx(expected, abs=0.05 * perimeter + 0.75)


def test_outlines_have_no_rim_on_average() -> None:
    rng = np.random.default_rng(0)
    rims = []
    for _ in range(60):
        corners = rng.uniform((4, 4), (92, 60), (3, 2))
        perimeter = np.linalg.norm(corners - np.roll(corners, 1, 0), axis=1).sum()
        found = coverage(outlined(corners), AS_IT_IS, CANVAS).sum() / 255
        rims.append((found - polygon_area(corners)) / perimeter)
    assert abs(np.mean(rims)) < 0.01  # canvas pixels


@given(placements())
@settings(max_examples=30)
def test_an_object_is_the_same_as_polygon_and_as_mask(to_canvas: Affine) -> None:
    to_canvas = np.column_stack(
        [to_canvas[:, :2], to_canvas[:, 2] - to_canvas[:, :2] @ np.array([30, 25])]
    )
    mask = np.zeros((50, 60), np.uint8, order="F")
    mask[15:35, 20:45] = 1
    as_runs = Annotation(0, (), coco_mask.encode(mask), 500.0, is_crowd=False)
    one = coverage(outlined(rectangle(20, 15, 45, 35)), to_canvas, CANVAS).astype(int)
    other = coverage(as_runs, to_canvas, CANVAS).astype(int)
    scale = math.sqrt(abs(np.linalg.det(to_canvas[:, :2])))
    assert abs(one.sum() - other.sum()) / 255 < 0.15 * 2 * (20 + 25) * scale + 1
    assert ((one >= 128) != (other >= 128)).sum() <= 0.5 * 2 * (20 + 25) * max(scale, 0.3)


def test_overlapping_rings_of_one_object_do_not_cancel() -> None:
    first, second = rectangle(10, 10, 40, 40), rectangle(30, 20, 60, 50)
    found = coverage(outlined(first, second), AS_IT_IS, CANVAS)
    assert (found[22:38, 32:38] == 255).all()
    alone = [coverage(outlined(ring), AS_IT_IS, CANVAS) for ring in (first, second)]
    np.testing.assert_array_equal(found, np.maximum(*alone))


def test_an_object_over_all_covers_all() -> None:
    assert (coverage(outlined(rectangle(0, 0, 96, 64)), AS_IT_IS, CANVAS) == 255).all()


def test_rings_apart_are_one_object() -> None:
    found = coverage(outlined(rectangle(4, 4, 8, 8), rectangle(20, 4, 24, 8)), AS_IT_IS, CANVAS)
    assert (found[5:7, 5:7] == 255).all()
    assert (found[5:7, 21:23] == 255).all()
    assert not found[:, 10:18].any()


@given(st.integers(8, 51), st.integers(8, 41), placements())
@settings(max_examples=50)
def test_a_point_of_a_film_goes_where_the_affine_puts_it(
    column: int, row: int, to_canvas: Affine
) -> None:
    film = np.zeros((50, 60), np.uint8)
    film[row - 4 : row + 4, column - 4 : column + 4] = 240
    x, y = to_canvas[:, :2] @ (column - 30, row - 25) + to_canvas[:, 2]
    assume(6 < x < CANVAS[1] - 6 and 6 < y < CANVAS[0] - 6)
    moved = to_canvas.copy()
    moved[:, 2] -= to_canvas[:, :2] @ (30, 25)
    found = warp(film, moved, CANVAS, 0).astype(float)
    assert found.shape == CANVAS
    rows, columns = np.indices(CANVAS) + 0.5
    total = found.sum()
    assert (columns * found).sum() / total == pytest.approx(x, abs=0.15)
    assert (rows * found).sum() / total == pytest.approx(y, abs=0.15)


def test_around_the_film_is_the_fill() -> None:
    to_canvas = np.array([[1.0, 0, 30], [0, 1, 20]])
    found = warp(np.full((10, 12), 200, np.uint8), to_canvas, CANVAS, 77)
    assert found.dtype == np.uint8
    assert (found[21:29, 31:41] == 200).all()
    outside = np.ones(CANVAS, np.bool_)
    outside[19:31, 29:43] = False
    assert (found[outside] == 77).all()


def as_mask(annotation: Annotation, size: tuple[int, int]) -> Annotation:
    """The same object as run lengths of an image of this size."""
    rings = [ring.ravel().tolist() for ring in annotation.polygons]
    rle = coco_mask.merge(coco_mask.frPyObjects(rings, *size))
    return Annotation(0, (), rle, annotation.area, is_crowd=False)


@given(triangles, st.integers(-70, 70), st.integers(-110, 110))
@settings(max_examples=60)
def test_an_object_that_is_moved_by_pixels_is_drawn_there(
    triangle: Points, down: int, right: int
) -> None:
    """Wherever it is moved to: across the canvas's border, or off it."""
    outline = outlined(np.add(triangle, (48, 32)))
    moved = AS_IT_IS.copy()
    moved[:, 2] = right, down
    for annotation in (outline, as_mask(outline, CANVAS)):
        whole = np.pad(coverage(annotation, AS_IT_IS, CANVAS), ((80, 80), (120, 120)))
        top, left = 80 - down, 120 - right
        expected = whole[top : top + CANVAS[0], left : left + CANVAS[1]]
        found = coverage(annotation, moved, CANVAS)
        # Where the border cuts an outline, its new corners are rounded to the supersampling.
        difference = np.abs(found.astype(int) - expected).sum() / 255
        assert difference <= 0.5 + 0.02 * (expected > 0).sum()


def test_a_mask_without_pixels_covers_nothing() -> None:
    rle = coco_mask.encode(np.zeros(CANVAS, np.uint8, order="F"))
    assert not coverage(Annotation(0, (), rle, 0.0, is_crowd=False), AS_IT_IS, CANVAS).any()
