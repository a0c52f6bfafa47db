"""Overlap counts by blocks against pixel by pixel, and when which way is taken."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.configuration.network import NmsKernel
from model.network import mask_overlap
from model.network.mask_overlap import mask_overlaps, multiplied_overlaps, packed_overlaps
from model.network.matrix_nms import matrix_nms

many = settings(derandomize=True, database=None, max_examples=60)
Masks = npt.NDArray[np.bool_]


def counted(masks: Masks, groups: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    shared = np.zeros((len(masks), len(masks)), np.float32)
    for i, j in np.ndindex(shared.shape):
        if groups[i] == groups[j] >= 0:
            shared[i, j] = np.count_nonzero(masks[i] & masks[j])
    return shared


def random_masks(rng: np.random.Generator, count: int, size: tuple[int, int], fill: float) -> Masks:
    """Noise, rectangles that fill whole blocks, and both in one mask."""
    masks = rng.random((count, *size)) < fill
    for mask in masks[::2]:
        top, bottom = np.sort(rng.integers(0, size[0] + 1, 2))
        left, right = np.sort(rng.integers(0, size[1] + 1, 2))
        mask[top:bottom, left:right] = True
    return masks


@many
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 7),
    size=st.sampled_from([(1, 1), (8, 8), (7, 17), (24, 40), (33, 9)]),
    fill=st.sampled_from([0.0, 0.1, 0.9, 1.0]),
)
def test_blocks_count_as_pixels_do(
    seed: int, count: int, size: tuple[int, int], fill: float
) -> None:
    rng = np.random.default_rng(seed)
    masks = random_masks(rng, count, size, fill)
    groups = rng.integers(-1, 2, count)
    np.testing.assert_array_equal(packed_overlaps(masks, groups), counted(masks, groups))


@pytest.mark.parametrize("count", [0, 1, 30, 201, 250])
def test_products_count_as_pixels_do(count: int) -> None:
    masks = random_masks(np.random.default_rng(count), count, (7, 9), 0.3)
    found = multiplied_overlaps(torch.tensor(masks)[None].flatten(2))
    np.testing.assert_array_equal(found[0], counted(masks, np.zeros(count, np.int64)))


@pytest.mark.parametrize("kernel", ["gaussian", "linear"])
def test_scores_are_the_same_to_the_bit(kernel: NmsKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    masks = torch.tensor(np.stack([random_masks(rng, 30, (24, 40), 0.05) for _ in range(3)]))
    labels = torch.tensor(rng.integers(0, 3, (3, 30)))
    scores = torch.tensor(rng.uniform(0, 1, (3, 30)).round(1), dtype=torch.float32)
    product = matrix_nms(masks, labels, scores, kernel)
    monkeypatch.setattr(mask_overlap, "_WORTH_PACKING", 0)
    assert torch.equal(matrix_nms(masks, labels, scores, kernel), product)
    assert (product < scores).sum() > 30


def test_much_work_is_packed_and_little_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    packed: list[int] = []

    def spy(masks: Masks, groups: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        packed.append(len(masks))
        return packed_overlaps(masks, groups)

    monkeypatch.setattr(mask_overlap, "packed_overlaps", spy)
    for count in (10, 400):
        masks = torch.zeros(2, count, 64, 64, dtype=torch.bool)
        masks[:, ::3, 5:20, 9:30] = True
        areas, overlaps = mask_overlaps(masks, torch.zeros(2, count, dtype=torch.int64))
        assert areas[1, :4].tolist() == [15 * 21, 0, 0, 15 * 21]
        assert overlaps.shape == (2, count, count)
        assert overlaps[1, 0, :4].tolist() == [15 * 21, 0, 0, 15 * 21]
    assert packed == [400, 400]
