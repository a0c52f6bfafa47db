"""The oracles against recorded answers of the reference implementations."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from tests import tolerances
from tests.reference import losses, matrix_nms, network, postprocess, targets
from tests.support import goldens

Arrays = dict[str, npt.NDArray[Any]]
NEAR_TIES = ("n500", "n600")  # neighbouring scores lie 4e-7 apart
NUM_GRIDS = (12, 10, 8, 6, 4)
STRIDES = (8, 8, 16, 32, 32)


@pytest.mark.parametrize("kernel", ["gaussian", "linear"])
@pytest.mark.parametrize("mode", ["plain", "deploy"])
@pytest.mark.parametrize("case", goldens.cases("matrix_nms", "scores_in"))
def test_matrix_nms(case: str, mode: str, kernel: matrix_nms.Kernel) -> None:
    arrays = goldens.load("matrix_nms")
    survivors = matrix_nms.matrix_nms(
        goldens.masks(arrays, f"{case}/masks") > 0,
        arrays[f"{case}/labels_in"],
        arrays[f"{case}/scores_in"],
        kernel=kernel,
        threshold=0.05 if mode == "deploy" else None,
        candidates=500 if mode == "deploy" else None,
        survivors=100 if mode == "deploy" else None,
    )
    expected = f"{case}/{kernel}/{mode}"
    np.testing.assert_allclose(
        survivors.scores, arrays[f"{expected}/scores"], rtol=0, atol=tolerances.DECAYED_SCORES
    )
    indices = arrays[f"{expected}/keep_inds"]
    if case in NEAR_TIES:
        assert set(survivors.indices) == set(indices)
    else:
        np.testing.assert_array_equal(survivors.indices, indices)
        np.testing.assert_array_equal(survivors.labels, arrays[f"{expected}/labels"])


@pytest.mark.parametrize("kernel", ["gaussian", "linear"])
@pytest.mark.parametrize("case", goldens.cases("matrix_nms", "scores_in"))
def test_decay_factors(case: str, kernel: matrix_nms.Kernel) -> None:
    arrays = goldens.load("matrix_nms")
    order = matrix_nms.descending(arrays[f"{case}/scores_in"])
    np.testing.assert_array_equal(order, arrays[f"{case}/sort_inds"])
    factors = matrix_nms.decay_factors(
        goldens.masks(arrays, f"{case}/masks")[order] > 0,
        arrays[f"{case}/labels_in"][order],
        kernel,
    )
    np.testing.assert_allclose(
        factors * arrays[f"{case}/scores_in"][order],
        arrays[f"{case}/{kernel}/decayed_sorted"],
        rtol=0,
        atol=tolerances.DECAYED_SCORES,
    )


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 4.0])
def test_sigma(sigma: float) -> None:
    arrays = goldens.load("matrix_nms")
    survivors = matrix_nms.matrix_nms(
        goldens.masks(arrays, "n20/masks") > 0,
        arrays["n20/labels_in"],
        arrays["n20/scores_in"],
        sigma=sigma,
    )
    expected = f"n20/gaussian_sigma{sigma}"
    np.testing.assert_array_equal(survivors.indices, arrays[f"{expected}/keep_inds"])
    np.testing.assert_allclose(
        survivors.scores, arrays[f"{expected}/scores"], rtol=0, atol=tolerances.DECAYED_SCORES
    )


def assign_image(
    arrays: Arrays, prefix: str, mask_strides: tuple[int, ...] = (4, 4, 4, 4, 4)
) -> list[targets.LevelTargets]:
    return targets.assign(
        goldens.masks(arrays, f"{prefix}masks"),
        arrays[f"{prefix}bboxes"],
        arrays[f"{prefix}labels"],
        num_classes=int(arrays["params_num_classes"]),
        num_grids=arrays["params_num_grids"].tolist(),
        scale_ranges=arrays["params_scale_ranges"].tolist(),
        mask_strides=mask_strides,
    )


@pytest.mark.parametrize("image", goldens.cases("targets_solov2", "gt_labels"))
def test_solov2_targets(image: str) -> None:
    arrays = goldens.load("targets_solov2")
    for number, level in enumerate(assign_image(arrays, f"{image}/gt_")):
        expected = f"{image}/lvl{number}"
        cells = [cell for cell, _ in level.pairs]
        np.testing.assert_array_equal(level.labels, arrays[f"{expected}/labels"])
        np.testing.assert_array_equal(cells, arrays[f"{expected}/pos_index"])
        np.testing.assert_array_equal(
            level.masks, goldens.masks(arrays, f"{expected}/mask_targets")
        )
        assert np.flatnonzero(arrays[f"{expected}/pos_mask"]).tolist() == sorted(set(cells))


@pytest.mark.parametrize("image", goldens.cases("targets_solo", "gt_labels"))
def test_solo_targets(image: str) -> None:
    arrays = goldens.load("targets_solo")
    assigned = assign_image(arrays, f"{image}/gt_", mask_strides=(4, 4, 8, 16, 16))
    for number, level in enumerate(map(targets.last_per_cell, assigned)):
        expected = f"{image}/lvl{number}"
        cells = np.array([cell for cell, _ in level.pairs], np.int64)
        np.testing.assert_array_equal(level.labels, arrays[f"{expected}/labels"])
        np.testing.assert_array_equal(cells, np.flatnonzero(arrays[f"{expected}/pos_mask"]))
        np.testing.assert_array_equal(
            level.masks, goldens.masks(arrays, f"{expected}/mask_targets")
        )
        rows_columns = np.stack(np.divmod(cells, len(level.labels)), axis=1)
        np.testing.assert_array_equal(rows_columns, arrays[f"{expected}/decoupled_yx_index"])


def test_focal_loss() -> None:
    arrays = goldens.load("losses")
    entries = losses.focal_loss(arrays["focal/logits"], arrays["focal/labels"])
    extreme = losses.focal_loss(arrays["focal/extreme_logits"], np.array([0, 3]))
    for found, name in ((entries, "none"), (extreme, "extreme_none")):
        np.testing.assert_allclose(
            found, arrays[f"focal/{name}"], rtol=tolerances.LOSS_ENTRY, atol=tolerances.LOSS_FLOOR
        )
    assert entries.sum() / 7 == pytest.approx(float(arrays["focal/avg7"]), rel=tolerances.LOSS)


def test_dice_loss() -> None:
    arrays = goldens.load("losses")
    pairs = zip(losses.sigmoid(arrays["dice/logits"]), arrays["dice/target"], strict=True)
    found = [losses.MASK_WEIGHT * losses.dice_loss(mask, target) for mask, target in pairs]
    np.testing.assert_allclose(
        found, arrays["dice/none_w3"], rtol=tolerances.LOSS_ENTRY, atol=tolerances.LOSS_FLOOR
    )


def test_fpn() -> None:
    arrays = goldens.load("fpn")
    pyramid = network.fpn([arrays[f"c{i}"] for i in (2, 3, 4, 5)], goldens.state_dict(arrays))
    for number, feature in enumerate(pyramid, start=2):
        np.testing.assert_allclose(feature, arrays[f"p{number}"], rtol=0, atol=tolerances.LOGITS)


def head_outputs() -> tuple[network.HeadOutputs, Arrays]:
    arrays, features = goldens.load("head_solov2"), goldens.load("head_feats")
    pyramid = [features[f"p{i}"] for i in (2, 3, 4, 5, 6)]
    return network.solov2_head(pyramid, goldens.state_dict(arrays), NUM_GRIDS), arrays


def test_solov2_head() -> None:
    outputs, arrays = head_outputs()
    for found, name in ((outputs.kernels, "train/kernel"), (outputs.categories, "train/cls")):
        for level, expected in zip(found, goldens.levels(arrays, name), strict=True):
            np.testing.assert_allclose(level, expected, rtol=0, atol=tolerances.LOGITS)
    np.testing.assert_allclose(
        outputs.mask_features, arrays["train/mask_feats"], rtol=0, atol=tolerances.LOGITS
    )


@pytest.mark.parametrize("batch", ["both", "one_empty", "all_empty"])
def test_solov2_losses(batch: str) -> None:
    arrays, head = goldens.load("losses"), goldens.load("head_solov2")
    images = [assign_image(arrays, f"gt/I{i}/") for i in (0, 1)]
    empty = targets.assign(
        np.zeros((0, 128, 160), np.uint8),
        np.zeros((0, 4), np.float32),
        np.zeros(0, np.int64),
        num_classes=3,
        num_grids=NUM_GRIDS,
        scale_ranges=arrays["params_scale_ranges"].tolist(),
    )
    filled = {"both": 2, "one_empty": 1, "all_empty": 0}[batch]
    outputs = (goldens.levels(head, "train/cls"), goldens.levels(head, "train/kernel"))
    found = losses.solov2_losses(
        *outputs, head["train/mask_feats"], [*images[:filled], *[empty] * (2 - filled)]
    )
    expected = [float(arrays[f"solov2/{batch}/loss_{name}"]) for name in ("mask", "cls")]
    assert found == pytest.approx(expected, rel=tolerances.LOSS)


def test_mask_loss_as_a_mean_over_targets() -> None:
    arrays, head = goldens.load("losses"), goldens.load("head_solov2")
    found, _ = losses.solov2_losses(
        goldens.levels(head, "train/cls"),
        goldens.levels(head, "train/kernel"),
        head["train/mask_feats"],
        [assign_image(arrays, f"gt/I{i}/") for i in (0, 1)],
        mean_over_targets=True,
    )
    assert found == pytest.approx(2.140626, abs=1e-6)  # as WXinlong/SOLO and AdelaiDet average


@pytest.mark.parametrize("image", [0, 1])
def test_solov2_inference(image: int) -> None:
    arrays, features = goldens.load("head_solov2"), goldens.load("head_feats")
    thresholds = postprocess.Thresholds()
    entering = postprocess.candidates(
        [level[image] for level in goldens.levels(arrays, "train/cls")],
        [level[image] for level in goldens.levels(arrays, "train/kernel")],
        arrays["train/mask_feats"][image],
        STRIDES,
        thresholds,
    )
    assert_found(entering, arrays, f"pre_nms/{image}")
    np.testing.assert_array_equal(
        entering.masks > thresholds.mask, goldens.masks(arrays, f"pre_nms/{image}/masks")
    )
    final = postprocess.suppress(entering, thresholds)
    assert_found(final, arrays, f"result/{image}")
    height, width = (features[name][image].tolist() for name in ("img_shape", "ori_shape"))
    masks = postprocess.restore(final.masks, tuple(height), tuple(width), thresholds.mask)
    expected = goldens.masks(arrays, f"result/{image}/masks")
    assert masks.shape == expected.shape
    assert np.mean(masks != expected) <= tolerances.FLIPPED_PIXELS


def assert_found(found: postprocess.Found, arrays: Arrays, name: str) -> None:
    np.testing.assert_array_equal(found.labels, arrays[f"{name}/labels"])
    np.testing.assert_allclose(
        found.scores, arrays[f"{name}/scores"], rtol=0, atol=tolerances.SCORES
    )
