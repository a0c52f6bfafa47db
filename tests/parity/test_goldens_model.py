"""The model's own functions against recorded answers of the reference implementations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch.nn import functional as F

from model.configuration.network import NmsKernel
from model.data.objects import Objects
from model.network.fpn import FPN
from model.network.matrix_nms import matrix_nms
from model.network.postprocess import find_instances
from model.network.solov2_head import SOLOv2Head, SOLOv2Outputs
from model.training.criterion import MASK_LOSS_WEIGHTS, Criterion
from model.training.losses import dice_loss, sigmoid_focal_loss
from model.training.targets import assign, binary_mask_targets
from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox
from tests import tolerances
from tests.support import goldens
from tests.support.golden_objects import config_of, objects_of
from tests.support.mmdet_names import load_mmdet, mmdet_name
from tests.support.small_network import small_config

Arrays = dict[str, npt.NDArray[Any]]


def assert_close(found: torch.Tensor, expected: npt.NDArray[Any], tolerance: float) -> None:
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=tolerance)


def solov2_head() -> tuple[SOLOv2Head, Arrays]:
    head, arrays = SOLOv2Head(small_config()), goldens.load("head_solov2")
    load_mmdet(head, goldens.state_dict(arrays))
    return head, arrays


def run(head: SOLOv2Head) -> SOLOv2Outputs:
    features = goldens.load("head_feats")
    outputs: SOLOv2Outputs = head([torch.tensor(features[f"p{i}"]) for i in (2, 3, 4, 5, 6)])
    return outputs


def test_fpn() -> None:
    arrays = goldens.load("fpn")
    fpn = FPN((16, 32, 64, 128), 64)
    load_mmdet(fpn, goldens.state_dict(arrays))
    pyramid = fpn([torch.tensor(arrays[f"c{i}"]) for i in (2, 3, 4, 5)])
    for number, feature in enumerate(pyramid, start=2):
        assert_close(feature, arrays[f"p{number}"], tolerances.LOGITS)


def test_solov2_head() -> None:
    head, arrays = solov2_head()
    outputs = run(head)
    for found, name in ((outputs.kernels, "kernel"), (outputs.category_logits, "cls")):
        for level, expected in zip(found, goldens.levels(arrays, f"train/{name}"), strict=True):
            assert_close(level, expected, tolerances.LOGITS)
    assert_close(outputs.mask_features, arrays["train/mask_feats"], tolerances.LOGITS)


@pytest.mark.parametrize("image", goldens.cases("targets_solov2", "gt_labels"))
def test_targets(image: str) -> None:
    arrays = goldens.load("targets_solov2")
    objects = objects_of(arrays, f"{image}/gt_")
    masks = binary_mask_targets(objects.masks)
    for number, level in enumerate(assign(objects, config_of(arrays))):
        expected = f"{image}/lvl{number}"
        np.testing.assert_array_equal(level.labels, arrays[f"{expected}/labels"])
        np.testing.assert_array_equal(level.cells, arrays[f"{expected}/pos_index"])
        np.testing.assert_array_equal(
            masks[level.objects], goldens.masks(arrays, f"{expected}/mask_targets")
        )


@pytest.mark.parametrize("batch", ["both", "one_empty", "all_empty"])
def test_losses_and_gradients(batch: str) -> None:
    arrays = goldens.load("losses")
    images = [objects_of(arrays, f"gt/I{i}/") for i in (0, 1)]
    empty = Objects(images[0].masks[:0], images[0].boxes[:0], images[0].labels[:0])
    filled = {"both": 2, "one_empty": 1, "all_empty": 0}[batch]
    head, _ = solov2_head()
    criterion = Criterion(replace(config_of(arrays), mask_targets="binary"))
    losses = criterion(run(head), [*images[:filled], *[empty] * (2 - filled)])

    expected = f"solov2/{batch}"
    for ours, name in (("mask", "loss_mask"), ("category", "loss_cls")):
        recorded = float(arrays[f"{expected}/{name}"])
        assert losses[ours].item() == pytest.approx(recorded, rel=tolerances.LOSS)
    sum(losses.values(), torch.zeros(())).backward()
    norms = dict(zip(arrays[f"{expected}/grad_keys"], arrays[f"{expected}/grad_norm"], strict=True))
    assert set(norms) == {mmdet_name(name) for name, _ in head.named_parameters()}
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name  # an empty batch, too, reaches every weight
        norm = parameter.grad.double().norm().item()
        assert norm == pytest.approx(norms[mmdet_name(name)], rel=tolerances.GRADIENT), name


def test_focal_loss() -> None:
    arrays = goldens.load("losses")
    for name, labels in (("", arrays["focal/labels"]), ("extreme_", np.array([0, 3]))):
        logits = torch.tensor(arrays[f"focal/{name}logits"])
        one_hot = F.one_hot(torch.tensor(labels), 4)[:, :3].float()
        np.testing.assert_allclose(
            sigmoid_focal_loss(logits, one_hot),
            arrays[f"focal/{name}none"],
            rtol=tolerances.LOSS_ENTRY,
            atol=tolerances.LOSS_FLOOR,
        )


def test_dice_loss() -> None:
    arrays = goldens.load("losses")
    probabilities = torch.tensor(arrays["dice/logits"]).sigmoid()
    np.testing.assert_allclose(
        MASK_LOSS_WEIGHTS["dice"] * dice_loss(probabilities, torch.tensor(arrays["dice/target"])),
        arrays["dice/none_w3"],
        rtol=tolerances.LOSS_ENTRY,
        atol=tolerances.LOSS_FLOOR,
    )


@pytest.mark.parametrize("kernel", ["gaussian", "linear"])
@pytest.mark.parametrize("case", goldens.cases("matrix_nms", "scores_in"))
def test_matrix_nms(case: str, kernel: NmsKernel) -> None:
    arrays = goldens.load("matrix_nms")
    order = arrays[f"{case}/sort_inds"]
    decayed = decay(arrays, case, kernel)
    # Where the reference divides 0 by 0, a mask with two exact copies above it, ours has 0.
    expected = np.nan_to_num(arrays[f"{case}/{kernel}/decayed_sorted"], nan=0.0)
    np.testing.assert_allclose(decayed[order], expected, rtol=0, atol=tolerances.DECAYED_SCORES)


@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0, 4.0])
def test_sigma(sigma: float) -> None:
    arrays = goldens.load("matrix_nms")
    expected = f"n20/gaussian_sigma{sigma}"
    np.testing.assert_allclose(
        decay(arrays, "n20", "gaussian", sigma)[arrays[f"{expected}/keep_inds"]],
        arrays[f"{expected}/scores"],
        rtol=0,
        atol=tolerances.DECAYED_SCORES,
    )


def decay(
    arrays: Arrays, case: str, kernel: NmsKernel, sigma: float = 2.0
) -> npt.NDArray[np.float32]:
    """The decayed scores in the order of the input."""
    decayed = matrix_nms(
        torch.tensor(goldens.masks(arrays, f"{case}/masks"))[None],
        torch.tensor(arrays[f"{case}/labels_in"])[None],
        torch.tensor(arrays[f"{case}/scores_in"])[None],
        kernel,
        sigma,
    )
    return np.asarray(decayed[0])


@pytest.mark.parametrize("image", [0, 1])
def test_final_instances(image: int) -> None:
    head, arrays = solov2_head()
    features = goldens.load("head_feats")
    with torch.inference_mode():
        scores, labels, masks = find_instances(run(head), small_config())
    found = Instances.from_outputs(*(output[image].numpy() for output in (scores, labels, masks)))
    expected = f"result/{image}"
    np.testing.assert_array_equal(found.labels, arrays[f"{expected}/labels"])
    np.testing.assert_allclose(
        found.scores, arrays[f"{expected}/scores"], rtol=0, atol=tolerances.SCORES
    )
    resized, original = (
        tuple(features[name][image].tolist()) for name in ("img_shape", "ori_shape")
    )
    # The reference puts the image in the canvas' corner, where ours would centre it.
    letterbox = replace(
        Letterbox.fit(original, (128, 160)), top=0, left=0, height=resized[0], width=resized[1]
    )
    restored = letterbox.restore(found)
    recorded = goldens.masks(arrays, f"{expected}/masks")
    assert restored.shape == recorded.shape
    assert np.mean(restored != recorded) <= tolerances.FLIPPED_QUANTISED_PIXELS
