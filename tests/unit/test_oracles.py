"""The oracles against examples small enough to work out by hand."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from tests.reference import losses, matrix_nms, network, postprocess, targets


def strips(*spans: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """One-row masks that are set from a first column up to, not including, a last one."""
    columns = np.arange(40)
    return np.stack([[(columns >= first) & (columns < last)] for first, last in spans])


def no_labels(count: int) -> npt.NDArray[np.int64]:
    return np.zeros(count, np.int64)


def test_points_nms_looks_up_and_left_only() -> None:
    level = np.array([[[1.0, 2.0, 1.0], [3.0, 3.0, 4.0], [2.0, 3.0, 1.0]]])
    # The first 1 stays, though the 2 on its right is greater; equal scores both stay.
    expected = [[[1, 2, 0], [3, 3, 4], [0, 3, 0]]]
    np.testing.assert_array_equal(matrix_nms.points_nms(level), expected)


def test_a_duplicate_keeps_exp_minus_two() -> None:
    masks = strips((0, 10), (0, 10))
    factors = matrix_nms.decay_factors(masks, no_labels(2), "gaussian")
    np.testing.assert_allclose(factors, [1, math.exp(-2)])
    assert matrix_nms.decay_factors(masks, no_labels(2), "linear").tolist() == [1, 0]


def test_a_duplicate_of_another_class_is_left_alone() -> None:
    masks = strips((0, 10), (0, 10))
    assert matrix_nms.decay_factors(masks, np.array([0, 1]), "gaussian").tolist() == [1, 1]


def test_a_suppressed_mask_suppresses_less() -> None:
    # A-B and B-C overlap by half of their union, A-C by 1/5.
    masks = strips((0, 9), (3, 12), (6, 15))
    linear = matrix_nms.decay_factors(masks, no_labels(3), "linear")
    np.testing.assert_allclose(linear, [1, 1 / 2, 4 / 5])  # B would say 1/2, and is itself at 1/2
    gaussian = matrix_nms.decay_factors(masks, no_labels(3), "gaussian")
    np.testing.assert_allclose(gaussian, [1, math.exp(-2 * 0.25), math.exp(-2 * 0.04)])


def test_the_third_of_three_identical_masks_is_not_a_number() -> None:
    arguments = strips((0, 10), (0, 10), (0, 10)), no_labels(3), np.array([0.9, 0.8, 0.7])
    everything = matrix_nms.matrix_nms(*arguments, kernel="linear")
    assert everything.indices.tolist() == [2, 0, 1]  # NaN sorts first
    assert np.isnan(everything.scores[0])
    passed = matrix_nms.matrix_nms(*arguments, kernel="linear", threshold=0.05)
    assert passed.indices.tolist() == [0]


def test_caps_and_order() -> None:
    masks = strips((0, 5), (10, 15), (20, 25), (30, 35))
    scores = np.array([0.5, 0.2, 0.9, 0.5])
    kept = matrix_nms.matrix_nms(masks, no_labels(4), scores, candidates=3, survivors=2)
    assert kept.indices.tolist() == [2, 0]  # equal scores keep their order
    kept = matrix_nms.matrix_nms(masks, no_labels(4), scores, threshold=0.5)
    assert kept.indices.tolist() == [2, 0, 3]


def test_no_masks() -> None:
    kept = matrix_nms.matrix_nms(np.zeros((0, 4, 4), bool), no_labels(0), np.zeros(0))
    assert len(kept.indices) == len(kept.labels) == len(kept.scores) == 0


def assign(
    masks: npt.NDArray[np.uint8], boxes: list[list[float]], labels: list[int]
) -> targets.LevelTargets:
    (level,) = targets.assign(
        masks,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels, np.int64),
        num_classes=2,
        num_grids=[8],
        scale_ranges=[(1, 64)],
        mask_strides=[4],
    )
    return level


def rectangle(top: int, left: int, bottom: int, right: int) -> npt.NDArray[np.uint8]:
    mask = np.zeros((1, 64, 64), np.uint8)
    mask[0, top:bottom, left:right] = 1
    return mask


def test_a_four_pixel_object_off_the_blocks_vanishes() -> None:
    level = assign(rectangle(10, 8, 14, 12), [[8, 10, 12, 14]], [1])
    # Rows 10 and 11 set the lower half of a block, of which the centre has row 10 only: it stays.
    assert np.argwhere(level.masks[0]).tolist() == [[2, 2], [3, 2]]
    level = assign(rectangle(10, 10, 14, 14), [[10, 10, 14, 14]], [1])
    # In both directions, each block holds one of its four central pixels.
    assert [cell for cell, _ in level.pairs] == [1 * 8 + 1]
    assert not level.masks.any()
    assert level.labels[1, 1] == 1


def test_a_small_object_trains_the_cell_of_its_centre_of_mass() -> None:
    level = assign(rectangle(16, 40, 24, 48), [[40, 16, 48, 24]], [0])
    assert level.pairs == [(2 * 8 + 5, 0)]
    assert np.argwhere(level.labels == 0).tolist() == [[2, 5]]


def test_a_large_object_trains_a_tenth_of_its_box_around_its_centre() -> None:
    level = assign(rectangle(0, 0, 64, 64), [[0, 0, 64, 64]], [0])
    # The centre of mass, 31.5, is in cell 3; a tenth of 64 to either side reaches cells 3 and 4.
    assert [divmod(cell, 8) for cell, _ in level.pairs] == [(3, 3), (3, 4), (4, 3), (4, 4)]


def test_a_centre_on_a_cell_border_may_round_down() -> None:
    # 208 of 640 pixels is cell 13.0 of 40, and 12.999999 in float32 by way of 1/40.
    assert targets.cell_of(np.float32(208), 640, 40) == 12
    assert targets.cell_of(np.float32(224), 640, 40) == 14


def test_at_most_three_by_three_cells() -> None:
    # Half of a box of 256 times 0.2 reaches three cells of 8 to either side.
    box = np.array([0, 0, 256, 256], np.float32)
    cells = targets.positive_cells(rectangle(0, 0, 64, 64)[0], box, 8, 0.2)
    assert cells == [(row, column) for row in (2, 3, 4) for column in (2, 3, 4)]


def test_two_objects_in_one_cell_give_one_label_and_two_targets() -> None:
    masks = np.concatenate([rectangle(16, 40, 24, 48), rectangle(16, 40, 22, 48)])
    level = assign(masks, [[40, 16, 48, 24], [40, 16, 48, 22]], [0, 1])
    assert level.pairs == [(21, 0), (21, 1)]
    assert level.labels[2, 5] == 1
    latest = targets.last_per_cell(level)
    assert latest.pairs == [(21, 1)]
    np.testing.assert_array_equal(latest.masks[0], level.masks[1])


@pytest.mark.parametrize(("side", "trained"), [(0.5, False), (1, True), (64, True), (65, False)])
def test_scale_ranges_are_inclusive(side: float, trained: bool) -> None:
    level = assign(rectangle(0, 0, 64, 64), [[0, 0, side, side]], [0])
    assert bool(level.pairs) == trained


def test_empty_masks_and_empty_images_train_nothing() -> None:
    for level in (
        assign(np.zeros((1, 64, 64), np.uint8), [[0, 0, 20, 20]], [0]),
        assign(np.zeros((0, 64, 64), np.uint8), [], []),
    ):
        assert not level.pairs
        assert level.masks.shape == (0, 16, 16)
        assert (level.labels == 2).all()


def test_dice_of_an_empty_target_is_one() -> None:
    nothing = np.zeros((4, 4))
    assert losses.dice_loss(nothing, nothing) == 1
    assert losses.dice_loss(np.ones((4, 4)), nothing) == 1


def test_dice_of_a_half_right_mask() -> None:
    target = np.array([[1, 1], [0, 0]])
    assert losses.dice_loss(target, target) == pytest.approx(1 - 4 / 4.002)
    assert losses.dice_loss(np.full((2, 2), 0.5), target) == pytest.approx(1 - 2 / 3.002)


def test_focal_loss_of_even_odds() -> None:
    even = losses.focal_loss(np.zeros((2, 1)), np.array([0, 1]))
    np.testing.assert_allclose(even, [[0.25 * 0.25 * math.log(2)], [0.75 * 0.25 * math.log(2)]])


def test_losses_of_a_shared_cell() -> None:
    right, wrong = np.array([[1, 1], [0, 0]], np.uint8), np.array([[0, 0], [0, 0]], np.uint8)
    level = targets.LevelTargets(np.array([[0]]), [(0, 0), (0, 1)], np.stack([right, wrong]))
    outputs = [np.zeros((1, 1, 1, 1))], [np.zeros((1, 1, 1, 1))], np.zeros((1, 1, 2, 2))
    first = 1 - 2 / 3.002  # probability 0.5 everywhere
    category = 0.25 * 0.25 * math.log(2) / 2
    per_cell = losses.solov2_losses(*outputs, [[level]])
    assert per_cell == pytest.approx((3 * (first + 1), category))
    per_target = losses.solov2_losses(*outputs, [[level]], mean_over_targets=True)
    assert per_target == pytest.approx((3 * (first + 1) / 2, category))


def test_resize_aligns_pixel_centres() -> None:
    assert network.resize(np.array([[1.0, 3.0]]), (1, 4)).tolist() == [[1, 1.5, 2.5, 3]]
    assert network.resize(np.array([[1.0, 3.0, 5.0, 7.0]]), (1, 2)).tolist() == [[2, 6]]


def test_convolution_pads_with_zeros() -> None:
    weights = {"box.weight": np.ones((1, 1, 3, 3)), "box.bias": np.array([10.0])}
    summed = network.conv(np.ones((1, 1, 3, 3)), weights, "box")
    assert summed[0, 0].tolist() == [[14, 16, 14], [16, 19, 16], [14, 16, 14]]


def test_coordinates_are_x_then_y() -> None:
    _, x, y = network.with_coordinates(np.zeros((1, 1, 2, 3)))[0]
    assert x.tolist() == [[-1, 0, 1], [-1, 0, 1]]
    assert y.tolist() == [[-1, -1, -1], [1, 1, 1]]


def test_a_mask_must_be_larger_than_its_stride() -> None:
    logits, kernels = np.full((1, 1, 1), 2.0), np.full((1, 1, 1), 2.0)
    features = np.full((1, 3, 4), -1.0)
    features[0, :2] = 1.0  # eight pixels
    thresholds = postprocess.Thresholds()
    none = postprocess.candidates([logits], [kernels], features, [8], thresholds)
    assert len(none.scores) == 0
    assert none.masks.shape == (0, 3, 4)
    features[0, 2, 0] = 1.0
    found = postprocess.candidates([logits], [kernels], features, [8], thresholds)
    probability = 1 / (1 + math.exp(-2))
    assert found.scores.tolist() == pytest.approx([probability**2])  # class times maskness


def test_masks_are_cut_after_the_last_resize() -> None:
    masks = np.zeros((1, 2, 4))
    masks[0, :, :2] = 1.0
    restored = postprocess.restore(masks, (8, 8), (16, 16), 0.5)
    # The image is the left half of the canvas and ends where the object does: the ramp at the
    # object's edge is at 0.625 in the image's last column, and what lies beyond has no say.
    assert restored.all()
    restored = postprocess.restore(masks, (8, 16), (4, 8), 0.5)
    assert restored[0].tolist() == [[True] * 4 + [False] * 4] * 4
