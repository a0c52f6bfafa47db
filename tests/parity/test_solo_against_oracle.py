"""SOLO and Decoupled SOLO heads, and the choices among targets and losses, against the oracles."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model.configuration.network import Level, MaskLossName, ModelConfig, VariantName
from model.network.heads import HeadOutputs, build_head
from model.network.postprocess import find_candidates
from model.training.criterion import MASK_LOSS_WEIGHTS, Criterion
from tests import tolerances
from tests.parity.test_network_against_oracle import SIZES, random_pyramid, randomise
from tests.parity.test_training_against_oracle import oracle_targets
from tests.reference import losses, postprocess, solo_network, targets
from tests.support import random_inputs
from tests.support.mmdet_names import as_mmdet
from tests.support.small_network import NUM_GRIDS, STRIDES, small_config

VARIANTS: list[VariantName] = ["solo", "decoupled_solo", "decoupled_solo_light"]
Oracle = solo_network.SOLOOutputs | solo_network.DecoupledOutputs
seeds = st.integers(0, 2**32 - 1)
few = settings(derandomize=True, database=None, max_examples=15)
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def both(
    config: ModelConfig, size: tuple[int, int], seed: int = 3, bias: float = 0.0
) -> tuple[HeadOutputs, Oracle]:
    """The head's outputs on random maps with random weights, and the oracle's."""
    rng = np.random.default_rng(seed)
    pyramid = random_pyramid(rng, size, (64,) * 5)
    head = build_head(config)
    randomise(head, rng)
    with torch.no_grad():
        assert head.category.bias is not None
        head.category.bias.add_(bias)
    forward = solo_network.solo_head if config.variant == "solo" else solo_network.decoupled_head
    expected = forward(pyramid, as_mmdet(head), NUM_GRIDS)
    return head([torch.tensor(feature) for feature in pyramid]), expected


def assert_close(found: torch.Tensor, expected: npt.NDArray[np.floating], atol: float) -> None:
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=atol)


@every_variant
@pytest.mark.parametrize("size", SIZES)
def test_masks_of_chosen_cells(size: tuple[int, int], variant: VariantName) -> None:
    outputs, expected = both(small_config(variant=variant), size)
    rng = np.random.default_rng(4)
    for ours, oracle in zip(outputs.category_logits, expected.categories, strict=True):
        assert_close(ours, oracle, tolerances.LOGITS)

    # In training: some cells of each level, none of one.
    chosen = [rng.integers(0, grid**2, 0 if grid == 8 else 3) for grid in NUM_GRIDS]
    for image in range(2):
        masks = outputs.mask_logits(image, [torch.tensor(cells) for cells in chosen])
        for level, cells in enumerate(chosen):
            assert len(masks[level]) == len(cells)
            for mask, cell in zip(masks[level], cells, strict=True):
                assert_close(mask.sigmoid(), expected.mask(image, level, cell), tolerances.LOGITS)

    # In inference: cells of all levels, in any order, others for each image.
    starts = np.cumsum([0, *(grid**2 for grid in NUM_GRIDS)])
    flat = rng.integers(0, starts[-1], (2, 9))
    at_stride_4 = (size[0] // 4, size[1] // 4)
    masks_of_all = outputs.candidate_masks(torch.tensor(flat))
    for (image, place), cell in np.ndenumerate(flat):
        level = int(np.searchsorted(starts, cell, side="right")) - 1
        oracle = expected.inference_mask(image, level, cell - starts[level], at_stride_4)
        assert_close(masks_of_all[image, place], oracle, tolerances.LOGITS)


@every_variant
def test_a_head_with_one_coarse_level(variant: VariantName) -> None:
    """Masks come at stride 4 also where no level is that fine."""
    level = Level(pyramid=4, stride=16, num_grid=8, scale_range=(1, 2048))
    config = small_config(variant=variant, levels=(level,))
    pyramid = [torch.rand(1, 64, 128 // 2**k, 160 // 2**k) for k in range(2, 7)]
    outputs = build_head(config)(pyramid)
    assert outputs.mask_logits(0, [torch.tensor([0, 63])])[0].shape == (2, 16, 20)
    assert outputs.candidate_masks(torch.tensor([[0, 5, 63]])).shape == (1, 3, 32, 40)


def mask_at(
    outputs: Oracle, image: int, level: int, row: int, column: int
) -> npt.NDArray[np.float64]:
    """A cell's mask on the canvas of `test_candidates`."""
    return outputs.inference_mask(image, level, row * NUM_GRIDS[level] + column, (24, 40))


@every_variant
def test_candidates(variant: VariantName) -> None:
    config = small_config(variant=variant)
    outputs, expected = both(config, (96, 160), bias=-1.5)
    found = find_candidates(outputs, config)
    for image in range(2):
        oracle = postprocess.entering(
            [level[image] for level in expected.categories],
            partial(mask_at, expected, image),
            (24, 40),
            STRIDES,
            postprocess.Thresholds(),
        )
        order = np.argsort(-oracle.scores)[: config.max_candidates]
        assert 20 < len(order) < config.max_candidates
        there = found.scores[image] > 0
        np.testing.assert_array_equal(found.labels[image, there], oracle.labels)
        assert_close(found.scores[image, there], oracle.scores, tolerances.SCORES)
        flipped = found.inside[image, there].numpy() != (oracle.masks > 0.5)
        assert flipped.mean() <= tolerances.FLIPPED_PIXELS


PIXEL_LOSSES = {
    "dice": losses.dice_loss,
    "bce": losses.pixel_cross_entropy,
    "focal": losses.pixel_focal,
}


@few
@given(seed=seeds, counts=st.lists(st.integers(0, 6), min_size=1, max_size=2))
@example(seed=0, counts=[0, 5])
@pytest.mark.parametrize("mask_loss", ["dice", "bce", "focal"])
@pytest.mark.parametrize("variant", [*VARIANTS, "solov2"])
def test_losses(
    variant: VariantName, mask_loss: MaskLossName, seed: int, counts: list[int]
) -> None:
    rng = np.random.default_rng(seed)
    config = small_config(
        variant=variant,
        mask_targets="binary",
        mask_loss=mask_loss,
        shared_cells="latest",
        mask_channels=8,
    )
    batch = [random_inputs.objects(rng, count, (128, 160)) for count in counts]
    if variant == "solov2":
        raw = random_inputs.outputs(rng, images=len(counts))
        outputs: HeadOutputs = raw
        kernels = [level.numpy() for level in raw.kernels]
        mask_of = losses.solov2_masks(kernels, raw.mask_features.numpy())
        strides = (4,) * 5
    else:
        outputs, mask_of = random_inputs.solo_outputs(rng, variant, images=len(counts))
        strides = (4, 4, 8, 16, 16)
    assigned = [
        [targets.last_per_cell(level) for level in oracle_targets(objects, config, strides)]
        for objects in batch
    ]
    expected = losses.solo_losses(
        [level.detach().numpy() for level in outputs.category_logits],
        mask_of,
        assigned,
        mask_loss=PIXEL_LOSSES[mask_loss],
        mask_weight=MASK_LOSS_WEIGHTS[mask_loss],
    )
    found = Criterion(config)(outputs, batch)
    values = found["mask"].item(), found["category"].item()
    assert values == pytest.approx(expected, rel=10 * tolerances.LOSS)
