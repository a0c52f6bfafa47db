from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask

from app.responses import rewritten
from app.schemas import UncompressedSegmentation
from solo.masks.polygons import bitmap, polygons, uncompressed
from tests.support.answers import Mask, answer, disc, instance

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=24)).filter(np.any)


def runs(mask: Mask) -> list[int]:
    """Run lengths down the columns, counted one by one."""
    found, current = [0], False
    for pixel in mask.ravel(order="F"):
        if bool(pixel) != current:
            found.append(0)
            current = not current
        found[-1] += 1
    return found


def drawn(shapes: list[list[float]], size: tuple[int, int]) -> Mask:
    """What pycocotools makes of polygons."""
    merged = coco_mask.merge(coco_mask.frPyObjects(shapes, *size))
    pixels: Mask = coco_mask.decode(merged).astype(np.bool_)
    return pixels


def overlap(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


@given(MASKS)
def test_uncompressed_runs_are_those_of_the_mask(mask: Mask) -> None:
    found = uncompressed(instance(mask).compressed)
    assert found.counts == runs(mask)
    assert found.size == mask.shape


@pytest.mark.parametrize("size", [(3000, 2500), (1, 1), (70_000, 1), (1, 70_000)])
def test_uncompressed_runs_of_large_masks(size: tuple[int, int]) -> None:
    mask = disc(size, (size[0] / 2, size[1] / 2), 0.4 * max(size) + 1)
    found = uncompressed(instance(mask).compressed)
    assert sum(found.counts) == mask.size
    assert sum(found.counts[1::2]) == mask.sum()


@given(MASKS)
def test_a_bitmap_is_the_mask_within_its_box(mask: Mask) -> None:
    found = instance(mask)
    x, y, width, height = found.bbox
    np.testing.assert_array_equal(bitmap(found), mask[y : y + height, x : x + width])
    assert bitmap(found).sum() == mask.sum()


@pytest.mark.parametrize("radius", [20, 60, 150])
@pytest.mark.parametrize("center", [(160.0, 170.0), (0.0, 0.0), (319.0, 339.0)])
def test_polygons_draw_the_mask_again(radius: float, center: tuple[float, float]) -> None:
    mask = disc((320, 340), center, radius)
    found = polygons(instance(mask))
    assert overlap(drawn(found, mask.shape), mask) > 0.97
    assert all(len(outline) >= 6 and len(outline) % 2 == 0 for outline in found)


def test_polygons_of_a_lung_sized_mask_are_tight_and_short() -> None:
    mask = disc((3000, 2500), (1500, 1200), 700)
    (outline,) = polygons(instance(mask))
    assert overlap(drawn([outline], (3000, 2500)), mask) > 0.998
    assert len(outline) < 400


def test_polygons_are_in_pixel_edges() -> None:
    mask = np.zeros((10, 12), np.bool_)
    mask[2:6, 3:9] = True
    (outline,) = polygons(instance(mask))
    points = np.reshape(outline, (-1, 2))
    np.testing.assert_allclose(points.min(0), (3.25, 2.25))
    np.testing.assert_allclose(points.max(0), (8.75, 5.75))


@given(MASKS)
def test_every_part_has_a_polygon_within_the_image(mask: Mask) -> None:
    found = polygons(instance(mask))
    assert found
    for outline in found:
        points = np.reshape(outline, (-1, 2))
        assert len(points) >= 3
        assert (points > 0).all()
        assert (points < mask.shape[::-1]).all()


def test_parts_are_apart_and_holes_are_filled() -> None:
    mask = disc((100, 200), (50, 50), 30) | disc((100, 200), (50, 150), 30)
    assert len(polygons(instance(mask))) == 2
    ring = disc((100, 100), (50, 50), 40) & ~disc((100, 100), (50, 50), 20)
    filled = disc((100, 100), (50, 50), 40)
    assert overlap(drawn(polygons(instance(ring)), (100, 100)), filled) > 0.97


def test_an_answer_is_rewritten_and_nothing_else_of_it() -> None:
    before = answer(disc((40, 50), (20, 20), 9), disc((40, 50), (20, 30), 5))
    assert rewritten(before, "rle") is before
    plain = rewritten(before, "uncompressed-rle")
    outlines = rewritten(before, "polygons")
    for after in (plain, outlines):
        everything_else = {"instances": {"__all__": {"segmentation"}}}
        assert after.model_dump(exclude=everything_else) == before.model_dump(
            exclude=everything_else
        )
    assert isinstance(plain.instances[0].segmentation, UncompressedSegmentation)
    assert outlines.instances[1].segmentation == polygons(before.instances[1])
    with pytest.raises(TypeError, match="another form"):
        rewritten(plain, "polygons")


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=12))
def test_runs_are_read_as_pycocotools_wrote_them(counts: list[int]) -> None:
    size = (sum(counts), 1)
    encoded = coco_mask.frPyObjects({"size": list(size), "counts": counts}, *size)
    found = rewritten_counts(encoded["counts"].decode("ascii"), size)
    assert found.counts == counts


def rewritten_counts(counts: str, size: tuple[int, int]) -> UncompressedSegmentation:
    blank = instance(np.ones((1, 1), np.bool_)).compressed
    return uncompressed(blank.model_copy(update={"counts": counts, "size": size}))
