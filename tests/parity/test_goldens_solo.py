"""SOLO and Decoupled SOLO, and their oracles, against recorded answers of the reference."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from model.configuration.network import ModelConfig, VariantName
from model.data.objects import Objects
from model.network.decoupled_solo_head import DecoupledSOLOOutputs
from model.network.heads import HeadOutputs, build_head
from model.network.postprocess import find_candidates, find_instances
from model.network.solo_head import SOLOOutputs
from model.training.criterion import Criterion
from model.training.targets import assign, binary_mask_targets
from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox
from tests import tolerances
from tests.reference import losses, postprocess, solo_network, targets
from tests.support import goldens
from tests.support.golden_objects import config_of, objects_of
from tests.support.mmdet_names import load_mmdet, mmdet_name
from tests.support.small_network import NUM_GRIDS, STRIDES, small_config

Arrays = dict[str, npt.NDArray[Any]]
MASK_STRIDES = (4, 4, 8, 16, 16)
SIZE = (32, 40)

# Name in losses.npz, our variant, file with weights and raw outputs, file with results.
HEADS: list[tuple[str, VariantName, str, str]] = [
    ("solo", "solo", "head_solo_train", "head_solo_eval"),
    ("decoupled", "decoupled_solo", "head_decoupled", "head_decoupled"),
    (
        "decoupled_light",
        "decoupled_solo_light",
        "head_decoupled_light",
        "head_decoupled_light",
    ),
]
every_head = pytest.mark.parametrize("head", HEADS, ids=[head[0] for head in HEADS])


def configured(variant: VariantName, **changes: Any) -> ModelConfig:
    return small_config(variant=variant, shared_cells="latest", mask_targets="binary", **changes)


def pyramid() -> list[npt.NDArray[np.float32]]:
    features = goldens.load("head_feats")
    return [features[f"p{i}"] for i in (2, 3, 4, 5, 6)]


def build(variant: VariantName, weights: str) -> torch.nn.Module:
    head = build_head(configured(variant))
    load_mmdet(head, goldens.state_dict(goldens.load(weights)))
    return head


def run(head: torch.nn.Module) -> HeadOutputs:
    outputs: HeadOutputs = head([torch.tensor(feature) for feature in pyramid()])
    return outputs


def oracle(
    variant: VariantName, weights: str
) -> solo_network.SOLOOutputs | solo_network.DecoupledOutputs:
    forward = solo_network.solo_head if variant == "solo" else solo_network.decoupled_head
    return forward(pyramid(), goldens.state_dict(goldens.load(weights)), NUM_GRIDS)


def assert_levels(found: list[Any], arrays: Arrays, name: str) -> None:
    for level, expected in zip(found, goldens.levels(arrays, name), strict=True):
        np.testing.assert_allclose(level, expected, rtol=0, atol=tolerances.LOGITS)


@every_head
def test_raw_outputs(head: tuple[str, VariantName, str, str]) -> None:
    _, variant, weights, _ = head
    arrays = goldens.load(weights)
    with torch.inference_mode():
        outputs = run(build(variant, weights))
    expected = oracle(variant, weights)
    assert_levels(outputs.category_logits, arrays, "train/cls")
    assert_levels(expected.categories, arrays, "train/cls")
    if isinstance(outputs, SOLOOutputs) and isinstance(expected, solo_network.SOLOOutputs):
        every_cell = [torch.arange(grid * grid) for grid in NUM_GRIDS]
        images = zip(*(outputs.mask_logits(image, every_cell) for image in (0, 1)), strict=True)
        assert_levels([torch.stack(level) for level in images], arrays, "train/mask")
        assert_levels(expected.masks, arrays, "train/mask")
    else:
        assert isinstance(outputs, DecoupledSOLOOutputs)
        assert isinstance(expected, solo_network.DecoupledOutputs)
        for ours, theirs, axis in (
            (outputs.x_logits, expected.columns, "x"),
            (outputs.y_logits, expected.rows, "y"),
        ):
            assert_levels(ours, arrays, f"train/mask_{axis}")
            assert_levels(theirs, arrays, f"train/mask_{axis}")


@pytest.mark.parametrize("image", goldens.cases("targets_solo", "gt_labels"))
def test_targets(image: str) -> None:
    arrays = goldens.load("targets_solo")
    objects = objects_of(arrays, f"{image}/gt_")
    config = replace(config_of(arrays), shared_cells="latest")
    for number, (level, stride) in enumerate(
        zip(assign(objects, config), MASK_STRIDES, strict=True)
    ):
        expected = f"{image}/lvl{number}"
        np.testing.assert_array_equal(level.labels, arrays[f"{expected}/labels"])
        np.testing.assert_array_equal(level.cells, np.flatnonzero(arrays[f"{expected}/pos_mask"]))
        np.testing.assert_array_equal(
            binary_mask_targets(objects.masks, stride)[level.objects],
            goldens.masks(arrays, f"{expected}/mask_targets"),
        )
        rows_columns = np.stack(np.divmod(level.cells.numpy(), len(level.labels)), axis=1)
        np.testing.assert_array_equal(rows_columns, arrays[f"{expected}/decoupled_yx_index"])


def batch_of(arrays: Arrays, batch: str) -> list[Objects]:
    images = [objects_of(arrays, f"gt/I{i}/") for i in (0, 1)]
    empty = Objects(images[0].masks[:0], images[0].boxes[:0], images[0].labels[:0])
    filled = {"both": 2, "one_empty": 1, "all_empty": 0}[batch]
    return [*images[:filled], *[empty] * (2 - filled)]


@pytest.mark.parametrize("batch", ["both", "one_empty", "all_empty"])
@every_head
def test_losses_and_gradients(head: tuple[str, VariantName, str, str], batch: str) -> None:
    name, variant, weights, _ = head
    arrays = goldens.load("losses")
    if f"{name}/{batch}/loss_mask" not in arrays:
        pytest.skip(f"losses.npz has no {name}/{batch}")
    network = build(variant, weights)
    config = replace(
        config_of(arrays), variant=variant, shared_cells="latest", mask_targets="binary"
    )
    objects = batch_of(arrays, batch)
    found = Criterion(config)(run(network), objects)
    recorded = [float(arrays[f"{name}/{batch}/loss_{part}"]) for part in ("mask", "cls")]
    assert [found[part].item() for part in ("mask", "category")] == pytest.approx(
        recorded, rel=tolerances.LOSS
    )

    torch.stack(list(found.values())).sum().backward()
    keys = arrays[f"{name}/{batch}/grad_keys"]
    norms = dict(zip(keys, arrays[f"{name}/{batch}/grad_norm"], strict=True))
    assert set(norms) == {mmdet_name(key) for key, _ in network.named_parameters()}
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key  # an empty batch, too, reaches every weight
        norm = parameter.grad.double().norm().item()
        assert norm == pytest.approx(norms[mmdet_name(key)], rel=tolerances.GRADIENT), key


@pytest.mark.parametrize("batch", ["both", "one_empty", "all_empty"])
@every_head
def test_losses_of_the_oracle(head: tuple[str, VariantName, str, str], batch: str) -> None:
    name, variant, weights, _ = head
    arrays = goldens.load("losses")
    if f"{name}/{batch}/loss_mask" not in arrays:
        pytest.skip(f"losses.npz has no {name}/{batch}")
    outputs = oracle(variant, weights)
    assigned = [
        targets.assign(
            (objects.masks.numpy() > 0).astype(np.uint8),
            objects.boxes.numpy(),
            objects.labels.numpy(),
            num_classes=3,
            num_grids=NUM_GRIDS,
            scale_ranges=arrays["params_scale_ranges"].tolist(),
            mask_strides=MASK_STRIDES,
        )
        for objects in batch_of(arrays, batch)
    ]
    one_each = [[targets.last_per_cell(level) for level in levels] for levels in assigned]
    found = losses.solo_losses(outputs.categories, outputs.mask, one_each)
    recorded = [float(arrays[f"{name}/{batch}/loss_{part}"]) for part in ("mask", "cls")]
    assert found == pytest.approx(recorded, rel=tolerances.LOSS)


@pytest.mark.parametrize("image", [0, 1])
@every_head
def test_instances(head: tuple[str, VariantName, str, str], image: int) -> None:
    _, variant, weights, results = head
    arrays, features = goldens.load(results), goldens.load("head_feats")
    config = configured(variant)
    with torch.inference_mode():
        outputs = run(build(variant, weights))
        candidates = find_candidates(outputs, config)
        scores, labels, masks = find_instances(outputs, config)

    entering = candidates.scores[image] > 0
    assert_found(
        candidates.scores[image, entering], candidates.labels[image, entering], arrays, image
    )
    np.testing.assert_array_equal(
        candidates.inside[image, entering], goldens.masks(arrays, f"pre_nms/{image}/masks")
    )

    found = Instances.from_outputs(*(output[image].numpy() for output in (scores, labels, masks)))
    assert_found(found.scores, found.labels, arrays, image, "result")
    resized, original = (
        tuple(features[name][image].tolist()) for name in ("img_shape", "ori_shape")
    )
    # The reference puts the image in the canvas' corner, where ours would centre it.
    letterbox = replace(
        Letterbox.fit(original, (128, 160)), top=0, left=0, height=resized[0], width=resized[1]
    )
    recorded = goldens.masks(arrays, f"result/{image}/masks")
    restored = letterbox.restore(found)
    assert restored.shape == recorded.shape
    # A product of two random factors is flat around a half, where rounding decides.
    assert np.mean(restored != recorded) <= 2 * tolerances.FLIPPED_QUANTISED_PIXELS


@pytest.mark.parametrize("image", [0, 1])
@every_head
def test_instances_of_the_oracle(head: tuple[str, VariantName, str, str], image: int) -> None:
    _, variant, weights, results = head
    arrays, features = goldens.load(results), goldens.load("head_feats")
    outputs, thresholds = oracle(variant, weights), postprocess.Thresholds()
    mask_of = partial(outputs.inference_mask, image, size=SIZE)
    entering = postprocess.entering(
        [level[image] for level in outputs.categories],
        lambda level, row, column: mask_of(level, row * NUM_GRIDS[level] + column),
        SIZE,
        STRIDES,
        thresholds,
    )
    assert_found(entering.scores, entering.labels, arrays, image)
    final = postprocess.suppress(entering, thresholds)
    assert_found(final.scores, final.labels, arrays, image, "result")
    height, width = (features[name][image].tolist() for name in ("img_shape", "ori_shape"))
    masks = postprocess.restore(final.masks, tuple(height), tuple(width), thresholds.mask)
    expected = goldens.masks(arrays, f"result/{image}/masks")
    assert np.mean(masks != expected) <= tolerances.FLIPPED_PIXELS


def assert_found(
    scores: Any, labels: Any, arrays: Arrays, image: int, stage: str = "pre_nms"
) -> None:
    np.testing.assert_array_equal(labels, arrays[f"{stage}/{image}/labels"])
    np.testing.assert_allclose(
        scores, arrays[f"{stage}/{image}/scores"], rtol=0, atol=tolerances.SCORES
    )
