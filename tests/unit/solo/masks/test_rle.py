"""Runs written from the crossings, against masks made the plain way."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox
from solo.masks.rle import MaskRuns, encode


def blobs(seed: int, count: int = 1, side: int = 16) -> npt.NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(size=(count, side, side)).astype(np.float32)
    soft = np.stack([cv2.GaussianBlur(mask, (0, 0), 2.0) for mask in noise])
    grey: npt.NDArray[np.uint8] = np.clip(soft * 600 + 120, 0, 255).astype(np.uint8)
    return grey


def as_instances(masks: npt.NDArray[np.uint8]) -> Instances:
    count = len(masks)
    return Instances(masks, np.zeros(count, np.int64), np.full(count, 0.9, np.float32))


def decode(mask: MaskRuns, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    decoded: npt.NDArray[np.uint8] = coco_mask.decode(
        {"size": list(size), "counts": mask.compressed().encode("ascii")}
    )
    return decoded


def check(masks: npt.NDArray[np.uint8], size: tuple[int, int]) -> None:
    letterbox = Letterbox.fit(size, (64, 64))
    instances = as_instances(masks)
    plain = letterbox.restore(instances)
    for soft, expected, encoded in zip(
        letterbox.content(masks), plain, encode(instances, letterbox), strict=True
    ):
        mask = decode(encoded, size)
        # Pixels within rounding of the threshold may fall to either side.
        value = cv2.resize(soft, size[::-1], interpolation=cv2.INTER_LINEAR)
        assert not ((mask != expected) & (np.abs(value - 127.5) > 0.05)).any()
        again = coco_mask.encode(np.asfortranarray(mask))
        assert encoded.compressed() == again["counts"].decode("ascii")
        np.testing.assert_array_equal(encoded.mask(), mask)
        assert encoded.area == mask.sum()
        assert list(encoded.bbox) == [int(v) for v in coco_mask.toBbox(again)]


@given(
    seed=st.integers(0, 10_000),
    height=st.integers(1, 300),
    width=st.integers(1, 300),
)
@settings(max_examples=150)
def test_runs_equal_the_plain_mask_at_any_size(seed: int, height: int, width: int) -> None:
    check(blobs(seed), (height, width))


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (64, 64), (63, 65), (2500, 2000)])
@pytest.mark.parametrize("value", [0, 127, 128, 255])
def test_constant_masks_are_empty_or_full(size: tuple[int, int], value: int) -> None:
    check(np.full((1, 16, 16), value, np.uint8), size)


def test_a_worked_example() -> None:
    # Two columns of a 4 x 4 canvas are set: at canvas size nothing is interpolated.
    masks = np.zeros((1, 4, 4), np.uint8)
    masks[0, 1:3, 1:3] = 255
    (encoded,) = encode(as_instances(masks), Letterbox.fit((4, 4), (4, 4)))
    assert encoded.bbox == (1, 1, 2, 2)
    assert encoded.area == 4
    expected = coco_mask.frPyObjects({"counts": [5, 2, 2, 2, 5], "size": [4, 4]}, 4, 4)
    assert encoded.counts.tolist() == [5, 2, 2, 2, 5]
    assert encoded.compressed() == expected["counts"].decode("ascii")


def test_an_object_that_touches_every_border_joins_runs_across_columns() -> None:
    masks = np.full((1, 16, 16), 255, np.uint8)
    masks[0, 6:9, 6:9] = 0
    check(masks, (120, 90))


def test_no_instances_give_no_masks() -> None:
    assert (
        encode(as_instances(np.empty((0, 16, 16), np.uint8)), Letterbox.fit((9, 9), (64, 64))) == []
    )


def test_many_masks_are_encoded_like_each_alone() -> None:
    rng = np.random.default_rng(8)
    masks = np.stack([cv2.GaussianBlur(mask, (0, 0), 2) for mask in
                      rng.integers(0, 256, (70, 16, 12), dtype=np.uint8)])  # fmt: skip
    masks[5], masks[6] = 0, 255
    letterbox = Letterbox.fit((91, 47), (64, 48))
    labels, scores = np.zeros(70, np.int64), np.full(70, 0.5, np.float32)
    together = encode(Instances(masks, labels, scores), letterbox)
    alone = [
        encode(Instances(masks[index : index + 1], labels[:1], scores[:1]), letterbox)[0]
        for index in range(70)
    ]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.counts, other.counts)
        assert (one.size, one.area, one.bbox) == (other.size, other.area, other.bbox)
    assert (together[5].area, together[6].area) == (0, 91 * 47)
