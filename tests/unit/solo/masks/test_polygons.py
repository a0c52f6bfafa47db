from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask

from solo.masks.polygons import polygons
from solo.masks.rle import MaskRuns
from tests.support.answers import Mask, disc, mask_runs

ANY_MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=24))
MASKS = ANY_MASKS.filter(np.any)


def drawn(shapes: list[list[float]], size: tuple[int, int]) -> Mask:
    """What pycocotools makes of polygons."""
    merged = coco_mask.merge(coco_mask.frPyObjects(shapes, *size))
    pixels: Mask = coco_mask.decode(merged).astype(np.bool_)
    return pixels


def overlap(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


def plain_polygons(mask: Mask) -> list[list[float]]:
    """The same polygons by OpenCV alone, over every pixel of the whole mask."""
    sides = [np.ptp(pixels) + 1 for pixels in np.nonzero(mask) if pixels.size]
    fine = cv2.resize(mask.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for outline in outlines:
        tolerance = min(1.0, 0.02 * max(sides))
        simple = cv2.approxPolyDP(outline, 2 * tolerance, closed=True)
        kept = simple if len(simple) > 2 else outline
        found.append(((kept.astype(np.float64) + 0.5) / 2).ravel().tolist())
    return found


@given(ANY_MASKS)
def test_polygons_are_those_of_all_pixels(mask: Mask) -> None:
    assert polygons(mask_runs(mask)) == plain_polygons(mask)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (5, 8), (8, 5)])
def test_polygons_of_whole_films_and_of_nothing(size: tuple[int, int]) -> None:
    whole = np.ones(size, np.bool_)
    assert polygons(mask_runs(whole)) == plain_polygons(whole)
    assert polygons(mask_runs(~whole)) == []


def test_what_is_drawn_depends_on_the_runs_and_not_on_the_film() -> None:
    side = 1_000_000  # no machine has the memory for these pixels
    ends = np.cumsum([0, 3, side * side - 6, 3])
    runs = MaskRuns((side, side), np.diff(ends, prepend=0), 6, (0, 0, side, side))
    last, first = (np.reshape(outline, (-1, 2)) for outline in polygons(runs))
    assert (first.min(), first.max()) == (0.25, 2.75)
    np.testing.assert_array_equal(last.max(0), (side - 0.25, side - 0.25))
    np.testing.assert_array_equal(last.min(0), (side - 0.75, side - 2.75))


def test_a_part_in_a_hole_has_no_polygon_and_one_in_a_bay_has() -> None:
    ring = disc((120, 90), (60, 45), 40) & ~disc((120, 90), (60, 45), 30)
    island = disc((120, 90), (60, 45), 10)
    assert len(polygons(mask_runs(ring | island))) == 1
    bay = ring.copy()
    bay[55:65, 45:] = False
    for mask in (ring | island, bay | island):
        assert polygons(mask_runs(mask)) == plain_polygons(mask)
    assert len(polygons(mask_runs(bay | island))) == 2


@given(ANY_MASKS)
def test_runs_of_columns_are_those_that_one_sees(mask: Mask) -> None:
    runs = mask_runs(mask)
    drawn_again = np.zeros(mask.shape, np.int64)
    for column, start, end in zip(*runs.column_runs(), strict=True):
        assert 0 <= start < end <= mask.shape[0]
        drawn_again[start:end, column] += 1
    np.testing.assert_array_equal(drawn_again, mask)
    np.testing.assert_array_equal(runs.mask(), mask)
    assert runs.mask().dtype == np.bool_


@given(MASKS)
def test_compressed_runs_are_pycocotools_own(mask: Mask) -> None:
    expected = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    assert mask_runs(mask).compressed() == expected["counts"].decode("ascii")


@pytest.mark.parametrize("radius", [20, 60, 150])
@pytest.mark.parametrize("center", [(160.0, 170.0), (0.0, 0.0), (319.0, 339.0)])
def test_polygons_draw_the_mask_again(radius: float, center: tuple[float, float]) -> None:
    mask = disc((320, 340), center, radius)
    found = polygons(mask_runs(mask))
    assert overlap(drawn(found, mask.shape), mask) > 0.97
    assert all(len(outline) >= 6 and len(outline) % 2 == 0 for outline in found)


def test_polygons_of_a_lung_sized_mask_are_tight_and_short() -> None:
    mask = disc((3000, 2500), (1500, 1200), 700)
    (outline,) = polygons(mask_runs(mask))
    assert overlap(drawn([outline], (3000, 2500)), mask) > 0.998
    assert len(outline) < 400


def test_polygons_are_in_pixel_edges() -> None:
    mask = np.zeros((10, 12), np.bool_)
    mask[2:6, 3:9] = True
    (outline,) = polygons(mask_runs(mask))
    points = np.reshape(outline, (-1, 2))
    np.testing.assert_allclose(points.min(0), (3.25, 2.25))
    np.testing.assert_allclose(points.max(0), (8.75, 5.75))


@given(MASKS)
def test_every_part_has_a_polygon_within_the_image(mask: Mask) -> None:
    found = polygons(mask_runs(mask))
    assert found
    for outline in found:
        points = np.reshape(outline, (-1, 2))
        assert len(points) >= 3
        assert (points > 0).all()
        assert (points < mask.shape[::-1]).all()


def test_parts_are_apart_and_holes_are_filled() -> None:
    mask = disc((100, 200), (50, 50), 30) | disc((100, 200), (50, 150), 30)
    assert len(polygons(mask_runs(mask))) == 2
    ring = disc((100, 100), (50, 50), 40) & ~disc((100, 100), (50, 50), 20)
    filled = disc((100, 100), (50, 50), 40)
    assert overlap(drawn(polygons(mask_runs(ring)), (100, 100)), filled) > 0.97
