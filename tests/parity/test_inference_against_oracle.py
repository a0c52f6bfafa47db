"""Points NMS, Matrix NMS and post-processing against the oracles, on random inputs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.configuration.network import Level, ModelConfig, NmsKernel
from model.network.matrix_nms import matrix_nms, points_nms
from model.network.postprocess import find_instances
from model.network.solov2_head import SOLOv2Outputs
from tests import tolerances
from tests.reference import matrix_nms as oracle_nms
from tests.reference import postprocess
from tests.reference.losses import sigmoid
from tests.support import random_inputs
from tests.support.small_network import STRIDES, small_config

seeds = st.integers(0, 2**32 - 1)
many = settings(derandomize=True, database=None, max_examples=60)


def assert_close(found: torch.Tensor, expected: npt.NDArray[np.floating], atol: float) -> None:
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=atol)


@many
@given(seed=seeds, grid=st.integers(1, 9), digits=st.sampled_from([1, 6]))
def test_points_nms(seed: int, grid: int, digits: int) -> None:
    scores = np.random.default_rng(seed).random((2, 3, grid, grid)).round(digits)
    found = points_nms(torch.tensor(scores))
    np.testing.assert_array_equal(found, [oracle_nms.points_nms(image) for image in scores])


@many
@given(seed=seeds, count=st.integers(1, 24), classes=st.integers(1, 3), ties=st.booleans())
@pytest.mark.parametrize("kernel", ["gaussian", "linear"])
def test_matrix_nms(kernel: NmsKernel, seed: int, count: int, classes: int, ties: bool) -> None:
    """Two images at once, with exact copies and equal scores among their masks."""
    rng = np.random.default_rng(seed)
    ends = np.sort(rng.integers(0, 12, (2, count, 2)), axis=2)
    ends[..., 1] += 1  # no mask is empty
    columns = np.arange(13)
    masks = (columns >= ends[..., :1]) & (columns < ends[..., 1:])
    labels = rng.integers(0, classes, (2, count))
    scores = rng.uniform(0.1, 1, (2, count)).round(1 if ties else 6).astype(np.float32)
    found = matrix_nms(
        torch.tensor(masks)[:, :, None], torch.tensor(labels), torch.tensor(scores), kernel
    )
    for image in range(2):
        order = oracle_nms.descending(scores[image])
        factors = oracle_nms.decay_factors(
            masks[image, order][:, None], labels[image, order], kernel
        )
        # 0 / 0, a mask with two exact copies above it, is the oracle's NaN and our 0.
        expected = np.nan_to_num(factors, nan=0.0) * scores[image, order]
        assert_close(found[image, order], expected, tolerances.DECAYED_SCORES)


def test_empty_masks_suppress_nothing() -> None:
    """The oracle's IoU of two empty masks is 0 / 0; ours is 0, and the area filter drops both."""
    masks, labels = torch.zeros(1, 2, 3, 3, dtype=torch.bool), torch.zeros(1, 2, dtype=torch.int64)
    scores = torch.tensor([[0.9, 0.8]])
    assert torch.equal(matrix_nms(masks, labels, scores), scores)
    factors = oracle_nms.decay_factors(masks[0].numpy(), labels[0].numpy(), "gaussian")
    assert np.isnan(factors[1])


def oracle_instances(
    outputs: SOLOv2Outputs, image: int, thresholds: postprocess.Thresholds, kernel: NmsKernel
) -> postprocess.Found:
    entering = postprocess.candidates(
        [level[image].numpy() for level in outputs.category_logits],
        [level[image].numpy() for level in outputs.kernels],
        outputs.mask_features[image].numpy(),
        STRIDES,
        thresholds,
    )
    return postprocess.suppress(entering, thresholds, kernel)


def assert_instances(
    outputs: SOLOv2Outputs,
    config: ModelConfig,
    category_thresholds: list[float],
) -> int:
    """Checks all images; returns how many instances there were."""
    scores, labels, masks = (output.numpy() for output in find_instances(outputs, config))
    assert scores.shape == labels.shape == masks.shape[:2]
    assert scores.shape == (len(category_thresholds), config.max_instances)
    total = 0
    for image, threshold in enumerate(category_thresholds):
        thresholds = postprocess.Thresholds(category=threshold, instances=config.max_instances)
        expected = oracle_instances(outputs, image, thresholds, config.nms_kernel)
        count = len(expected.scores)
        total += count
        np.testing.assert_allclose(
            scores[image, :count], expected.scores, rtol=0, atol=tolerances.SCORES
        )
        np.testing.assert_array_equal(labels[image, :count], expected.labels)
        assert not scores[image, count:].any()
        assert (labels[image, count:] == -1).all()
        np.testing.assert_allclose(masks[image, :count] / 255, expected.masks, atol=0.5 / 254)
    return total


@pytest.mark.parametrize("kernel", ["gaussian", "linear"])
@pytest.mark.parametrize("max_instances", [5, 100])
@pytest.mark.parametrize("size", [(128, 160), (64, 96)])
def test_instances(size: tuple[int, int], max_instances: int, kernel: NmsKernel) -> None:
    outputs = random_inputs.outputs(np.random.default_rng(4), size, images=3)
    outputs.category_logits[0][2] = -9.0  # one image has few candidates, and another has none
    for level in outputs.category_logits:
        level[1] = -9.0
    config = small_config(mask_channels=8, max_instances=max_instances, nms_kernel=kernel)
    assert assert_instances(outputs, config, [0.1] * 3) >= 2 * min(max_instances, 5)


@pytest.mark.parametrize("max_candidates", [1, 7, 30])
def test_candidates_are_cut_by_category_score(max_candidates: int) -> None:
    """Equal to a category threshold between the last that enters and the first that does not."""
    outputs = random_inputs.outputs(np.random.default_rng(5))
    raised = []
    for image in range(2):
        pairs = np.concatenate(
            [
                oracle_nms.points_nms(sigmoid(level[image].numpy())).ravel()
                for level in outputs.category_logits
            ]
        )
        last, first_out = -np.sort(-pairs)[max_candidates - 1 : max_candidates + 1]
        raised.append(float((last + first_out) / 2))
    config = small_config(mask_channels=8, max_candidates=max_candidates, max_instances=20)
    assert assert_instances(outputs, config, raised) > 0


def test_an_image_has_the_same_instances_in_any_batch() -> None:
    outputs, config = random_inputs.outputs(np.random.default_rng(6), images=4), small_config()
    together = find_instances(outputs, config)
    for image in range(4):
        alone = SOLOv2Outputs(
            [level[image : image + 1] for level in outputs.category_logits],
            [level[image : image + 1] for level in outputs.kernels],
            outputs.mask_features[image : image + 1],
        )
        scores, labels, masks = find_instances(alone, config)
        assert_close(scores[0], together[0][image].numpy(), tolerances.SCORES)
        assert torch.equal(labels[0], together[1][image])
        assert (masks[0].int() - together[2][image].int()).abs().max() <= 1


def test_a_pixel_at_the_threshold_is_outside() -> None:
    """Where all mask features are 0 the probability is 0.5 to the bit, and not above 0.5."""
    config = small_config(levels=(Level(2, 8, 1, (1, 512)),), mask_channels=1)
    features = torch.zeros(1, 1, 8, 8)
    features[..., :4] = 3.0
    one = torch.full((1, 1, 1, 1), 3.0)
    logits = torch.tensor([3.0, -9.0, -9.0]).view(1, 3, 1, 1)
    outputs = SOLOv2Outputs([logits], [one], features)
    scores, _, masks = find_instances(outputs, config)
    assert scores[0, 0] > 0
    thresholds = postprocess.Thresholds()
    expected = postprocess.candidates(
        [logits[0].numpy()], [one[0].numpy()], features[0].numpy(), [8], thresholds
    )
    np.testing.assert_array_equal(
        masks[0, 0].numpy() > 255 * thresholds.mask, expected.masks[0] > thresholds.mask
    )
