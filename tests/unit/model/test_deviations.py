"""The fields that depart from the reference, each on an example where it matters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from model.configuration.network import Level, ModelConfig, SharedCellRule
from model.data.objects import Objects
from model.network.postprocess import find_instances
from model.network.solov2_head import SOLOv2Outputs
from model.training.targets import assign, binary_mask_targets, mask_targets
from tests.support.small_network import small_config


def rectangles(*boxes: tuple[int, int, int, int], labels: tuple[int, ...]) -> Objects:
    """Filled boxes, (x1, y1, x2, y2), on a canvas of 64 x 64."""
    masks = torch.zeros(len(boxes), 64, 64, dtype=torch.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes, strict=True):
        mask[top:bottom, left:right] = 255
    return Objects(masks, torch.tensor(boxes, dtype=torch.float32), torch.tensor(labels))


def one_level(**changes: Any) -> ModelConfig:
    level = Level(pyramid=2, stride=8, num_grid=8, scale_range=(1, 64))
    return small_config(levels=(level,), canvas_size=(64, 64), **changes)


# A lesion of 8 pixels in the middle of an organ of 48, annotated before it. The organ's box claims
# 3 x 3 cells at most, the lesion the one in their middle.
NESTED = rectangles((32, 32, 40, 40), (12, 12, 60, 60), labels=(1, 2))


@pytest.mark.parametrize(
    ("rule", "lesion", "taught"), [("all", 1, 2), ("latest", 0, 1), ("smallest", 1, 1)]
)
def test_nested_objects(rule: SharedCellRule, lesion: int, taught: int) -> None:
    (level,) = assign(NESTED, one_level(shared_cells=rule))
    middle = 4 * 8 + 4
    assert int((level.objects == 0).sum()) == lesion  # cells that outline the lesion
    assert int((level.cells == middle).sum()) == taught  # masks that the middle cell is taught
    assert int((level.objects == 1).sum()) >= 3  # the organ keeps the cells around
    # The label goes with the mask, but for the reference's contradiction.
    assert level.labels[4, 4] == (1 if rule == "smallest" else 2)
    if rule != "all":
        owner = level.objects[level.cells == middle]
        assert level.labels[4, 4] == NESTED.labels[owner]
        assert (level.cells.diff() > 0).all()


def test_the_order_of_annotations_does_not_matter_to_the_smallest() -> None:
    turned = Objects(NESTED.masks.flip(0), NESTED.boxes.flip(0), NESTED.labels.flip(0))
    config = one_level(shared_cells="smallest")
    (one,), (other,) = assign(NESTED, config), assign(turned, config)
    assert torch.equal(one.labels, other.labels)
    assert torch.equal(one.cells, other.cells)
    assert torch.equal(one.objects, 1 - other.objects)


def test_a_small_object_keeps_a_target() -> None:
    """4 x 4 pixels across four cells of the mask: no cell holds two of its central four."""
    small = rectangles((10, 10, 14, 14), labels=(0,))
    assert not binary_mask_targets(small.masks).any()
    assert float(mask_targets(small.masks).sum()) * 16 == pytest.approx(16)


def strips(*rows: tuple[int, int, float, int]) -> tuple[SOLOv2Outputs, dict[str, Any]]:
    """A head's outputs whose cell k has a mask that fills rows `first` to `last` of eight.

    Each row is (first, last, category probability, label).
    """
    grid = 3
    features = torch.zeros(1, 8, 8, 8)
    features[0, torch.arange(8), torch.arange(8)] = 1.0  # channel k is row k
    kernels = torch.full((1, 8, grid, grid), -20.0)
    logits = torch.full((1, 3, grid, grid), -20.0)
    for cell, (first, last, probability, label) in enumerate(rows):
        row, column = 2 * (cell // 2), 2 * (cell % 2)  # no two are neighbours
        kernels[0, first:last, row, column] = 20.0
        logits[0, label, row, column] = np.log(probability / (1 - probability))
    changes = {"levels": (Level(2, 8, grid, (1, 64)),), "mask_channels": 8}
    return SOLOv2Outputs([logits], [kernels], features), changes


def found(outputs: SOLOv2Outputs, **changes: Any) -> list[tuple[int, float]]:
    scores, labels, _ = find_instances(outputs, small_config(**changes))
    there = labels[0] >= 0
    pairs = zip(labels[0, there].tolist(), scores[0, there].tolist(), strict=True)
    return [(label, round(score, 3)) for label, score in pairs]


def test_an_exact_duplicate_can_be_dropped() -> None:
    outputs, size = strips((0, 4, 0.9, 0), (0, 4, 0.8, 0), (4, 8, 0.7, 0))
    kept = [(0, 0.9), (0, 0.7)]
    # The Gaussian kernel leaves it exp(-2) of its score, and the threshold of the reference lets
    # that pass.
    assert found(outputs, **size) == [*kept, (0, round(0.8 * float(np.exp(-2)), 3))]
    assert found(outputs, max_overlap=0.8, **size) == kept
    assert found(outputs, nms_kernel="linear", **size) == kept


def test_a_copy_of_another_class_can_be_suppressed() -> None:
    outputs, size = strips((0, 4, 0.9, 0), (0, 4, 0.8, 1))
    assert found(outputs, **size) == [(0, 0.9), (1, 0.8)]
    assert found(outputs, nms_across_classes=True, max_overlap=0.8, **size) == [(0, 0.9)]


def test_the_smallest_area_has_a_unit() -> None:
    """One row of eight pixels of the mask is 128 canvas pixels."""
    outputs, size = strips((0, 1, 0.9, 0), (4, 6, 0.8, 0))
    assert found(outputs, **size) == [(0, 0.8)]  # 8 are not more than the stride, whatever its unit
    assert found(outputs, min_area=128, **size) == [(0, 0.9), (0, 0.8)]
    assert found(outputs, min_area=129, **size) == [(0, 0.8)]
    assert found(outputs, min_area=0, **size) == [(0, 0.9), (0, 0.8)]
