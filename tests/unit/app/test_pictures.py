from __future__ import annotations

import json
import struct
import zlib
from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from app.rendering import complete
from app.responses import render
from app.schemas import ResponseFormat
from solo.contract.manifest import RESEARCH_USE_ONLY
from solo.formats.pictures import label_map
from solo.result import OutOfDistribution, Result
from tests.support.answers import Mask, disc, result

SIZE = (300, 400)
LEFT, RIGHT = disc(SIZE, (150, 110), 60), disc(SIZE, (150, 290), 60)
FILM = np.full(SIZE, 90, np.uint8)


def picture(shown: Result, form: ResponseFormat, request_id: str) -> bytes:
    return complete(render(shown, form, request_id))


def chunks(data: bytes) -> dict[bytes, bytes]:
    """A PNG's chunks, each with its checksum verified."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    found, offset = {}, 8
    while offset < len(data):
        length, kind = struct.unpack_from(">I4s", data, offset)
        body = data[offset + 8 : offset + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, offset + 8 + length)
        assert checksum == zlib.crc32(kind + body)
        found[kind] = body
        offset += 12 + length
    assert offset == len(data)
    return found


def decoded(data: bytes) -> npt.NDArray[np.generic]:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return np.asarray(image)


def test_a_label_map_has_the_number_of_the_best_instance() -> None:
    over = disc(SIZE, (150, 130), 60)
    image = decoded(picture(result(LEFT, over, RIGHT), "label-map", "id"))
    assert image.dtype == np.uint8
    assert image.shape == SIZE
    expected = np.where(LEFT, 1, np.where(over, 2, np.where(RIGHT, 3, 0)))
    np.testing.assert_array_equal(image, expected)


@given(
    arrays(
        np.bool_,
        st.tuples(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9)),
        elements=st.booleans(),
    )
)
def test_a_label_map_of_any_masks_is_painted_from_the_last_to_the_first(
    masks: npt.NDArray[np.bool_],
) -> None:
    expected = np.zeros(masks.shape[1:], np.uint8)
    made = result(*masks)
    for number in range(len(masks), 0, -1):
        runs = {"counts": made.instances[number - 1].runs.compressed().encode()}
        seen = coco_mask.decode(runs | {"size": list(masks.shape[1:])})
        expected[seen > 0] = number
    np.testing.assert_array_equal(label_map(made), expected)


def test_a_label_map_of_nothing_is_black() -> None:
    empty = replace(result(LEFT), instances=())
    assert not decoded(picture(empty, "label-map", "id")).any()


def test_a_label_map_of_many_instances_has_16_bits() -> None:
    spots: list[Mask] = []
    for index in range(300):
        spot = np.zeros((20, 300), np.bool_)
        spot[5:9, index] = True
        spots.append(spot)
    image = decoded(picture(result(*spots), "label-map", "id"))
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image[6], np.arange(1, 301))


def test_an_overlay_draws_on_the_rim_and_leaves_the_rest_of_the_film() -> None:
    image = decoded(picture(result(LEFT, RIGHT, pixels=FILM), "overlay", "id")).astype(np.int64)
    assert image.shape == (*SIZE, 3)
    changed = (image != 90).any(2)
    kernel = np.ones((7, 7), np.uint8)
    for mask in (LEFT, RIGHT):
        shape = mask.astype(np.uint8)
        rim = cv2.dilate(shape, kernel) - cv2.erode(shape, kernel)
        thin = cv2.dilate(shape, np.ones((3, 3), np.uint8)) - shape
        assert changed[thin > 0].mean() > 0.9
        assert not changed[(shape > 0) & (rim == 0)].any()
    assert image[LEFT & changed].mean(0).argmax() != image[RIGHT & changed].mean(0).argmax()
    assert changed[:92].any()  # labels
    assert changed[-12:, :100].any()  # the notice


def test_a_large_overlay_is_reduced_for_a_quick_look() -> None:
    size = (2000, 2500)
    mask = disc(size, (1000, 1250), 500)
    image = decoded(picture(result(mask, pixels=np.full(size, 90, np.uint8)), "overlay", "id"))
    assert image.shape == (1280, 1600, 3)
    row = np.flatnonzero((np.asarray(image)[640].astype(int) != 90).any(1))
    assert abs(row[0] - 750 * 0.64) < 6
    assert abs(row[-1] - 1750 * 0.64) < 6


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (5, 7)])
def test_small_and_thin_films_can_be_drawn(size: tuple[int, int]) -> None:
    whole = np.ones(size, np.bool_)
    assert (
        decoded(picture(result(whole, pixels=np.zeros(size, np.uint8)), "overlay", "id")).ndim == 3
    )
    assert decoded(picture(result(whole), "label-map", "id")).any()


@pytest.mark.parametrize("form", ["overlay", "label-map"])
def test_a_picture_says_what_it_is_and_has_nothing_else(form: ResponseFormat) -> None:
    shown = result(LEFT, RIGHT, pixels=FILM)
    found = chunks(picture(shown, form, "request-7"))
    assert set(found) == {b"IHDR", b"IDAT", b"tEXt", b"IEND"}
    keyword, _, text = found[b"tEXt"].partition(b"\0")
    about = json.loads(text)
    assert keyword == b"Comment"
    assert about["notice"] == RESEARCH_USE_ONLY
    assert (about["request_id"], about["model"]["name"]) == ("request-7", "tiny")
    assert [one["bbox"] for one in about["instances"]] == [list(i.bbox) for i in shown.instances]
    assert [one["outline_uncertainty"] for one in about["instances"]] == [2.5, 2.5]
    assert about["out_of_distribution"] is None
    more = {"notice", "request_id", "model", "sha256", "out_of_distribution"}
    assert set(about) == {*more, "instances"}


def test_a_picture_of_a_film_that_the_model_does_not_know_says_so() -> None:
    known, unknown = (
        replace(result(LEFT, pixels=FILM), out_of_distribution=OutOfDistribution.of(score))
        for score in (1.0, 1.25)
    )
    found = [picture(shown, "overlay", "id") for shown in (known, unknown)]
    about = [json.loads(chunks(data)[b"tEXt"].partition(b"\0")[2]) for data in found]
    assert [one["out_of_distribution"] for one in about] == [
        {"score": 1.0, "flagged": False},
        {"score": 1.25, "flagged": True},
    ]
    plain = decoded(picture(result(LEFT, pixels=FILM), "overlay", "id"))
    np.testing.assert_array_equal(decoded(found[0]), plain)
    changed = np.argwhere((decoded(found[1]) != plain).any(axis=-1))
    assert changed[:, 0].min() > 0.8 * SIZE[0]  # in the sentence at the foot


@pytest.mark.parametrize("size", [(120, 120), (400, 120), (12, 400), (300, 400)])
def test_a_small_picture_has_room_for_the_notice_and_the_flag(size: tuple[int, int]) -> None:
    film = np.full(size, 90, np.uint8)
    nothing = result(np.zeros(size, np.bool_), pixels=film)
    flagged = replace(nothing, out_of_distribution=OutOfDistribution.of(12.25))
    known, unknown = (decoded(picture(shown, "overlay", "id")) for shown in (nothing, flagged))
    notice = (known != 90).any(axis=-1)
    flag = (unknown != known).any(axis=-1)
    assert notice.any()
    assert flag.any()
    assert not (flag & notice).any()
    assert not flag[:, 0].any()  # else it would be cut off
