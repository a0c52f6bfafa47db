from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solo.contract.instances import Instances
from solo.postprocess import suppress


def instances(masks: npt.NDArray[np.bool_]) -> Instances:
    count = len(masks)
    scores = np.linspace(0.9, 0.1, count, dtype=np.float32)
    return Instances(masks.astype(np.uint8) * 200, np.arange(count, dtype=np.int64), scores)


def plain(masks: npt.NDArray[np.bool_], most: float) -> list[int]:
    """One by one, as the sentence says."""
    kept: list[int] = []
    for index, mask in enumerate(masks):
        overlaps = [
            (mask & masks[other]).sum() / max((mask | masks[other]).sum(), 1) for other in kept
        ]
        if all(overlap <= most + 1e-6 for overlap in overlaps):
            kept.append(index)
    return kept


@given(st.integers(0, 8), st.integers(0, 10**6), st.sampled_from([0, 0.25, 0.5, 0.8, 1]))
def test_it_is_what_one_by_one_gives(count: int, seed: int, most: float) -> None:
    masks = np.random.default_rng(seed).random((count, 3, 4)) < 0.5
    assert suppress(instances(masks), most, 0.5).labels.tolist() == plain(masks, most)


def test_an_object_named_twice_is_kept_once_under_its_better_name() -> None:
    masks = np.zeros((3, 8, 8), np.bool_)
    masks[0, :4], masks[1, :4], masks[2, 4:] = True, True, True
    found = suppress(instances(masks), 0.5, 0.5)
    assert found.labels.tolist() == [0, 2]
    np.testing.assert_allclose(found.scores, [0.9, 0.1])
    np.testing.assert_array_equal(found.masks, instances(masks).masks[[0, 2]])


def test_what_was_dropped_suppresses_nothing() -> None:
    masks = np.zeros((3, 1, 12), np.bool_)
    masks[0, 0, 0:6], masks[1, 0, 2:8], masks[2, 0, 4:10] = True, True, True
    # IoU of neighbours is 4/8; the first and the third share 2/10.
    assert suppress(instances(masks), 0.4, 0.5).labels.tolist() == [0, 2]


@pytest.mark.parametrize("count", [0, 1, 5])
def test_any_overlap_may_be_allowed(count: int) -> None:
    given_ = instances(np.ones((count, 4, 4), np.bool_))
    assert len(suppress(given_, 1, 0.5)) == count
    assert len(suppress(given_, 0, 0.5)) == min(count, 1)
