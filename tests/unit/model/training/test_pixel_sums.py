"""Sums of eight pixels at a time against sums of one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch

from model.training import pixel_sums
from model.training.pixel_sums import block_means, row_and_column_counts


def greys(size: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Coverages of all kinds, and masks that are set or empty throughout."""
    masks = np.random.default_rng(2).integers(0, 256, size, np.uint8)
    masks[1:2] = 255
    masks[2:3] = 0
    return masks


# Rows and columns that are longer than what a byte can count, and widths of no whole words.
@pytest.mark.parametrize("size", [(4, 32, 32), (3, 600, 48), (3, 16, 2080), (2, 7, 13), (0, 8, 8)])
def test_counts(size: tuple[int, ...]) -> None:
    masks = greys(size)
    rows, columns = row_and_column_counts(torch.from_numpy(masks))
    np.testing.assert_array_equal(rows, (masks >= 128).sum(2))
    np.testing.assert_array_equal(columns, (masks >= 128).sum(1))


@pytest.mark.parametrize("side", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("size", [(4, 32, 48), (3, 16, 16), (0, 16, 16)])
def test_block_means(size: tuple[int, int, int], side: int) -> None:
    masks = greys(size)
    found = block_means(torch.from_numpy(masks), side)
    count, height, width = size
    blocks = masks.reshape(count, height // side, side, width // side, side).astype(np.float64)
    assert found.shape == (count, height // side, width // side)
    np.testing.assert_allclose(found, blocks.mean((2, 4)), rtol=1e-6)


def test_a_view_of_every_second_mask_has_the_same_sums() -> None:
    masks = torch.from_numpy(greys((6, 16, 24)))
    for one, other in zip(
        row_and_column_counts(masks), row_and_column_counts(masks[::2]), strict=True
    ):
        assert torch.equal(one[::2], other)
    assert torch.equal(block_means(masks, 4)[::2], block_means(masks[::2], 4))


def test_all_masks_at_once_as_on_a_gpu() -> None:
    masks = torch.from_numpy(greys((5, 520, 64)))
    for function in (pixel_sums._counts, pixel_sums._sums_of_sixteen):
        assert torch.equal(function(masks), pixel_sums._by_mask(function, masks))
