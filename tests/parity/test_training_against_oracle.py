"""Target assignment and losses against the oracles, on random objects and outputs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from model.configuration.network import Level, ModelConfig
from model.data.objects import Objects
from model.training.criterion import Criterion
from model.training.losses import dice_loss, sigmoid_focal_loss
from model.training.targets import assign, binary_mask_targets, mask_targets
from tests import tolerances
from tests.reference import losses, targets
from tests.support import random_inputs
from tests.support.small_network import small_config

seeds = st.integers(0, 2**32 - 1)
many = settings(derandomize=True, database=None, max_examples=60)
few = settings(many, max_examples=15)


def oracle_targets(
    objects: Objects, config: ModelConfig, mask_strides: tuple[int, ...] = (4, 4, 4, 4, 4)
) -> list[targets.LevelTargets]:
    return targets.assign(
        (objects.masks.numpy() > 0).astype(np.uint8),
        objects.boxes.numpy(),
        objects.labels.numpy(),
        num_classes=config.num_classes,
        num_grids=[level.num_grid for level in config.levels],
        scale_ranges=[level.scale_range for level in config.levels],
        mask_strides=mask_strides,
        sigma=config.sigma,
    )


@many
@given(
    seed=seeds,
    count=st.integers(0, 12),
    size=st.sampled_from([(128, 160), (96, 32), (640, 448)]),
    sigma=st.sampled_from([0.2, 0.4, 1.0]),
)
@example(seed=0, count=0, size=(128, 160), sigma=0.2)
def test_targets(seed: int, count: int, size: tuple[int, int], sigma: float) -> None:
    objects = random_inputs.objects(np.random.default_rng(seed), count, size)
    config = small_config(sigma=sigma)
    if size[0] > 400:
        levels = zip((40, 36, 24, 16, 12), config.levels, strict=True)
        config = replace(config, levels=tuple(replace(b, num_grid=grid) for grid, b in levels))
    masks = binary_mask_targets(objects.masks)
    expected = oracle_targets(objects, config)
    for ours, oracle in zip(assign(objects, config), expected, strict=True):
        np.testing.assert_array_equal(ours.labels, oracle.labels)
        found = zip(ours.cells.tolist(), ours.objects.tolist(), strict=True)
        assert list(found) == oracle.pairs
        np.testing.assert_array_equal(masks[ours.objects], oracle.masks)


def test_targets_on_every_grid_line() -> None:
    """Single-pixel objects on each pixel of a row: each grid line in float32 arithmetic."""
    masks = torch.zeros(640, 1, 640, dtype=torch.uint8)
    masks[torch.arange(640), 0, torch.arange(640)] = 255
    x = torch.arange(640, dtype=torch.float32)
    objects = Objects(
        masks, torch.stack([x, x * 0, x + 1, x * 0 + 1], dim=1), torch.zeros(640, dtype=torch.int64)
    )
    levels = tuple(Level(2, 8, grid, (1, 2)) for grid in (40, 36, 24, 16, 12, 7))
    config = small_config(levels=levels, sigma=0.0)  # the centre's cell and no other
    for level, setting in zip(assign(objects, config), config.levels, strict=True):
        grid = setting.num_grid
        expected = []
        for column in range(640):
            box = np.array([column, 0, column + 1, 1], np.float32)
            cells = targets.positive_cells(masks[column].numpy(), box, grid, config.sigma)
            expected += [(row * grid + cell, column) for row, cell in cells]
        found = zip(level.cells.tolist(), level.objects.tolist(), strict=True)
        assert list(found) == expected


@pytest.mark.parametrize("stride", [2, 4, 8])
def test_mask_targets_of_random_pixels(stride: int) -> None:
    masks = np.random.default_rng(3).integers(0, 2, (3, 32, 48), np.uint8)
    soft = mask_targets(torch.tensor(masks * np.uint8(255)), stride)
    binary = binary_mask_targets(torch.tensor(masks * np.uint8(255)), stride)
    for index, row, column in np.ndindex(soft.shape):
        rows = slice(row * stride, (row + 1) * stride)
        columns = slice(column * stride, (column + 1) * stride)
        covered = masks[index, rows, columns].mean()
        assert soft[index, row, column].item() == pytest.approx(covered, abs=1e-6)
    np.testing.assert_array_equal(binary, [targets.shrink(mask, stride) for mask in masks])


def assert_close(found: torch.Tensor, expected: npt.NDArray[np.floating]) -> None:
    np.testing.assert_allclose(
        found.detach().numpy(), expected, rtol=tolerances.LOSS_ENTRY, atol=tolerances.LOSS_FLOOR
    )


@many
@given(seed=seeds, spread=st.sampled_from([1.0, 10.0, 80.0]))
def test_focal_loss(seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(0, spread, (20, 3)).astype(np.float32), rng.integers(0, 4, 20)
    one_hot = F.one_hot(torch.tensor(labels), 4)[:, :3].float()
    assert_close(
        sigmoid_focal_loss(torch.tensor(logits), one_hot),
        losses.focal_loss(logits, labels),
    )


@many
@given(seed=seeds, share=st.sampled_from([0.0, 0.01, 0.5, 1.0]))
def test_dice_loss(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    probabilities = rng.random((4, 17, 23), np.float32)
    masks = rng.random((4, 17, 23)) < share
    assert_close(
        dice_loss(torch.tensor(probabilities), torch.tensor(masks)),
        np.array([losses.dice_loss(p, q) for p, q in zip(probabilities, masks, strict=True)]),
    )


@few
@given(seed=seeds, counts=st.lists(st.integers(0, 8), min_size=1, max_size=3))
@example(seed=0, counts=[0, 0])
@example(seed=0, counts=[0, 5])
@pytest.mark.parametrize("soft", [False, True])
def test_criterion(soft: bool, seed: int, counts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    config = small_config(mask_channels=8, mask_targets="coverage" if soft else "binary")
    batch = [random_inputs.objects(rng, count, (128, 160)) for count in counts]
    outputs = random_inputs.outputs(rng, images=len(counts))
    found = Criterion(config)(outputs, batch)
    assigned = [oracle_targets(objects, config) for objects in batch]
    if soft:
        assigned = [
            [with_coverage(level, objects) for level in levels]
            for levels, objects in zip(assigned, batch, strict=True)
        ]
    expected = losses.solov2_losses(
        [level.numpy() for level in outputs.category_logits],
        [level.numpy() for level in outputs.kernels],
        outputs.mask_features.numpy(),
        assigned,
    )
    values = found["mask"].item(), found["category"].item()
    assert values == pytest.approx(expected, rel=tolerances.LOSS)


def with_coverage(level: targets.LevelTargets, objects: Objects) -> targets.LevelTargets:
    """The targets with the share of each 4 x 4 block for its two-of-four vote."""
    blocks = (objects.masks.numpy() / 255).reshape(len(objects.masks), 32, 4, 40, 4)
    coverage: Any = blocks.mean(axis=(2, 4))[[index for _, index in level.pairs]]
    return replace(level, masks=coverage)
