from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask

from solo.masks.polygons import polygons
from tests.support.answers import Mask, disc, mask_runs

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=24)).filter(np.any)


def drawn(shapes: list[list[float]], size: tuple[int, int]) -> Mask:
    """What pycocotools makes of polygons."""
    merged = coco_mask.merge(coco_mask.frPyObjects(shapes, *size))
    pixels: Mask = coco_mask.decode(merged).astype(np.bool_)
    return pixels


def overlap(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


@given(MASKS)
def test_a_crop_is_the_mask_within_its_box(mask: Mask) -> None:
    runs = mask_runs(mask)
    x, y, width, height = runs.bbox
    np.testing.assert_array_equal(runs.crop(), mask[y : y + height, x : x + width])
    np.testing.assert_array_equal(runs.mask(), mask)
    assert runs.crop().dtype == np.uint8
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
