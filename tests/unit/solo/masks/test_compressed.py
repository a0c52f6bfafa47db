"""Compressed run lengths of strangers: as pycocotools reads good ones, and refused if not good."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as coco_mask

from solo.masks.compressed import read_compressed
from tests.support.annotations import Mask, rle
from tests.support.dicom_results import runs_of

MASKS = st.tuples(st.integers(1, 13), st.integers(1, 13)).flatmap(
    lambda size: arrays.arrays(np.bool_, size, elements=st.booleans())
)


@given(MASKS)
def test_masks_are_read_as_they_were_written(mask: Mask) -> None:
    found, expected = read_compressed(rle(mask)["counts"], mask.shape), runs_of(mask)
    np.testing.assert_array_equal(found.mask(), mask)
    assert found.counts.tolist() == expected.counts.tolist() or not mask.any()
    assert (found.area, found.bbox) == (expected.area, expected.bbox)


def test_long_runs_are_read() -> None:
    mask = np.zeros((3000, 2500), np.bool_)
    mask[:, 1:] = True
    assert read_compressed(rle(mask)["counts"], mask.shape).area == 3000 * 2499


@given(MASKS, st.data())
def test_runs_of_no_length_are_none(mask: Mask, data: st.DataObject) -> None:
    """A mask has one spelling, whatever a tool writes."""
    plain = runs_of(mask).counts.tolist()
    at = data.draw(st.integers(0, len(plain) - 1))
    part = data.draw(st.integers(0, plain[at]))
    split = [*plain[:at], part, 0, plain[at] - part, *plain[at + 1 :], 0]
    runs = {"counts": np.array(split, np.uint32), "size": list(mask.shape)}
    text = coco_mask.frPyObjects(runs, *mask.shape)["counts"].decode()
    found = read_compressed(text, mask.shape)
    np.testing.assert_array_equal(found.mask(), mask)
    assert (found.counts[1:] > 0).all()


def test_no_letter_stands_for_a_strange_one() -> None:
    assert read_compressed("?1", (4, 4)).area == 1
    with pytest.raises(ValueError, match="not in COCO's compressed run lengths"):
        read_compressed("é1", (4, 4))


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\0",
        "é",
        "0\u2028",
        "P",  # a number that goes on
        "oooooooo0",  # one of too many letters
        "oooooo0" * 40,
        "1",  # 1 pixel of 12
        "<1",  # 13 pixels
        "=O",  # one less than none
        "0" * 100_000,
        "hello world",
        "~~~~",
    ],
)
def test_what_is_no_mask_of_the_film_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^it"):
        read_compressed(text, (3, 4))


@given(st.text(st.characters(min_codepoint=48, max_codepoint=111), min_size=1, max_size=30))
def test_any_text_is_a_mask_or_refused(text: str) -> None:
    try:
        found = read_compressed(text, (3, 4))
    except ValueError:
        return
    assert found.counts.min() >= 0
    assert found.counts.sum() == 12
    assert found.mask().sum() == found.area
