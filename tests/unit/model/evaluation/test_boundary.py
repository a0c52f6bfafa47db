"""Distances of outlines, worked out by hand and pair by pair."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.evaluation.boundary import boundary_distance


def block(top: int, left: int, height: int, width: int) -> npt.NDArray[np.bool_]:
    mask = np.zeros((40, 50), np.bool_)
    mask[top : top + height, left : left + width] = True
    return mask


def test_equal_masks_are_not_apart() -> None:
    found = boundary_distance(block(5, 5, 10, 20), block(5, 5, 10, 20))
    assert (found.mean, found.hausdorff95) == (0, 0)


def test_single_pixels_are_as_far_apart_as_their_centres() -> None:
    found = boundary_distance(block(5, 5, 1, 1), block(8, 9, 1, 1))
    assert (found.mean, found.hausdorff95) == pytest.approx((5, 5))


def test_parallel_lines() -> None:
    found = boundary_distance(block(5, 5, 1, 30), block(9, 5, 1, 30))
    assert (found.mean, found.hausdorff95) == pytest.approx((4, 4))


def test_a_far_speck_hardly_moves_the_95th_percentile() -> None:
    speck = block(5, 5, 20, 20) | block(38, 48, 1, 1)
    found = boundary_distance(block(5, 5, 20, 20), speck)
    assert found.hausdorff95 == 0
    assert found.mean == pytest.approx(np.hypot(14, 24) / (76 + 77))


def test_the_films_edge_is_an_outline_too() -> None:
    found = boundary_distance(block(0, 0, 40, 50), block(0, 0, 40, 47))
    # Of 176 and 170 pixels of outline, only those of the last columns are apart.
    assert found.mean == pytest.approx((40 * 3 + 2 * (1 + 2) + 38 * 3) / 346, abs=0.02)


@given(st.integers(0, 2**32 - 1))
def test_as_measured_pair_by_pair(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = (
        block(*rng.integers(0, 15, 2), *rng.integers(1, 20, 2))
        | block(*rng.integers(0, 15, 2), *rng.integers(1, 20, 2))
        for _ in range(2)
    )
    edges = []
    for mask in (one, other):
        padded = np.pad(mask, 1)
        hidden = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
        edges.append(np.argwhere(mask & ~hidden))
    apart = np.linalg.norm(edges[0][:, None] - edges[1], axis=-1)
    ways = [apart.min(1), apart.min(0)]
    found = boundary_distance(one, other)
    assert found.mean == pytest.approx(np.concatenate(ways).mean(), abs=1e-4)
    assert found.hausdorff95 == pytest.approx(max(np.percentile(w, 95) for w in ways), abs=1e-4)
    assert boundary_distance(other, one).mean == pytest.approx(found.mean)
