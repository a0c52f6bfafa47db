"""FPN and SOLOv2 head against the oracles, with random weights on random maps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
import torch

from model.network.fpn import FPN
from model.network.solov2_head import SOLOv2Head
from tests import tolerances
from tests.reference import network
from tests.support.mmdet_names import as_mmdet
from tests.support.small_network import NUM_GRIDS, small_config

SIZES = [(64, 64), (96, 160), (160, 64)]  # P5 of two, of odd and of unlike sides


def assert_close(found: torch.Tensor, expected: npt.NDArray[np.floating], atol: float) -> None:
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=atol)


def random_pyramid(
    rng: np.random.Generator, size: tuple[int, int], channels: tuple[int, ...]
) -> list[npt.NDArray[np.float32]]:
    """Maps at strides 4, 8, ... of two images; the last rounds up, as P6 does."""
    sides = [(-(-size[0] // stride), -(-size[1] // stride)) for stride in (4, 8, 16, 32, 64)]
    return [
        rng.standard_normal((2, width, *side)).astype(np.float32)
        for width, side in zip(channels, sides, strict=False)
    ]


def randomise(module: torch.nn.Module, rng: np.random.Generator) -> None:
    """Weights that keep the variance, so that every layer has its say."""
    for parameter in module.parameters():
        spread = parameter[0].numel() ** -0.5 if parameter.ndim > 1 else 0.5
        values = rng.normal(0 if parameter.ndim > 1 else 0.5, spread, tuple(parameter.shape))
        parameter.data = torch.tensor(values, dtype=torch.float32)


@pytest.mark.parametrize("size", SIZES)
def test_fpn(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    features = random_pyramid(rng, size, (8, 16, 24, 32))
    fpn = FPN((8, 16, 24, 32), 64)
    randomise(fpn, rng)
    found = fpn([torch.tensor(feature) for feature in features])
    expected = network.fpn(features, as_mmdet(fpn))
    for ours, oracle in zip(found, expected, strict=True):
        assert ours.shape == oracle.shape
        assert_close(ours, oracle, tolerances.LOGITS)


@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("size", SIZES)
def test_solov2_head(size: tuple[int, int], depth: int) -> None:
    rng = np.random.default_rng(2)
    pyramid = random_pyramid(rng, size, (64,) * 5)
    config = small_config(
        stacked_convs=depth, head_channels=96, mask_branch_channels=32, mask_channels=128
    )
    head = SOLOv2Head(config)
    randomise(head, rng)
    tensors = [torch.tensor(feature) for feature in pyramid]
    found = head(tensors)
    expected = network.solov2_head(pyramid, as_mmdet(head), NUM_GRIDS)
    for level in range(5):
        assert_close(found.category_logits[level], expected.categories[level], tolerances.LOGITS)
        assert_close(found.kernels[level], expected.kernels[level], tolerances.LOGITS)
    assert_close(found.mask_features, expected.mask_features, tolerances.LOGITS)

    single = SOLOv2Head(replace(config, levels=(config.levels[2],)))
    single.load_state_dict(head.state_dict())
    (logits,) = single(tensors).category_logits
    assert_close(logits, expected.categories[2], tolerances.LOGITS)
