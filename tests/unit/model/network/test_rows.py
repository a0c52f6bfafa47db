"""Rows of each image, taken by index."""

from __future__ import annotations

import torch

from model.network.rows import take_rows


def test_each_image_gets_its_own_rows() -> None:
    rows = torch.arange(3 * 4 * 2 * 5).view(3, 4, 2, 5)
    index = torch.tensor([[0, 3], [2, 2], [1, 0]])
    found = take_rows(rows, index)
    assert found.shape == (3, 2, 2, 5)
    for image, chosen in enumerate(index):
        assert torch.equal(found[image], rows[image, chosen])


def test_no_images_and_no_rows() -> None:
    assert take_rows(torch.zeros(0, 4, 2), torch.zeros(0, 3, dtype=torch.int64)).shape == (0, 3, 2)
    assert take_rows(torch.zeros(2, 4, 2), torch.zeros(2, 0, dtype=torch.int64)).shape == (2, 0, 2)
