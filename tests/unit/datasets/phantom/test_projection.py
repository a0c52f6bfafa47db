"""Projection against rays that are followed one by one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from datasets.phantom.projection import Deformation, Pose, project
from datasets.phantom.radiograph import Image, Mask
from datasets.phantom.thorax import Thorax, interpolate_labels

MM = (2.0, 3.0, 1.5)  # along depth, height, side
POSE = Pose(source_to_detector_mm=900, middle_to_detector_mm=150, size=(60, 72), pixel_mm=3.0)


def solid(shape: tuple[int, int, int] = (40, 30, 70)) -> Thorax:
    """A block of 0.01 per mm with a lopsided ellipsoid, number 7, of 0.03 in it."""
    depth, height, side = (
        (np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(shape, MM, strict=True)
    )
    d, h, s = np.meshgrid(depth, height, side, indexing="ij")
    inside = ((d - 10) / 22) ** 2 + ((h + 6) / 18) ** 2 + ((s - 12) / 25) ** 2 < 1
    attenuation = np.where(inside, 0.03, 0.01).astype(np.float32)
    soft = np.minimum(attenuation, np.float32(0.02))
    bone = (attenuation - soft) / np.float32(POSE.bone_gain)
    return Thorax(soft, bone, (7 * inside).astype(np.uint8), {7: "egg"}, MM)


def follow(thorax: Thorax, pose: Pose) -> tuple[Image, Mask]:
    """Absorption and shadow by steps of 0.25 mm along each ray, written without the code's maps."""
    turn, tilt = pose.turn, pose.tilt
    # The patient's axes in the room: columns are depth, height, side.
    about_height = np.array(
        [[math.cos(turn), 0, math.sin(turn)], [0, 1, 0], [-math.sin(turn), 0, math.cos(turn)]]
    )
    about_side = np.array(
        [[math.cos(tilt), math.sin(tilt), 0], [-math.sin(tilt), math.cos(tilt), 0], [0, 0, 1]]
    )
    to_room = about_height @ about_side
    front = -1 if pose.from_behind else 1
    source = np.array(
        [front * (pose.source_to_detector_mm - pose.middle_to_detector_mm), *pose.shift_mm]
    )
    absorption = np.zeros(pose.size, np.float32)
    shadow = np.zeros(pose.size, np.bool_)
    way = np.arange(0.6, 1.02, 0.25 / pose.source_to_detector_mm)
    for row in range(pose.size[0]):
        for column in range(pose.size[1]):
            down = (row - (pose.size[0] - 1) / 2) * pose.pixel_mm
            across = (column - (pose.size[1] - 1) / 2) * pose.pixel_mm
            turned = np.array(
                [
                    across * math.cos(pose.roll) - down * math.sin(pose.roll),
                    across * math.sin(pose.roll) + down * math.cos(pose.roll),
                ]
            )
            away = np.array([-front * pose.source_to_detector_mm, -turned[1], turned[0]])
            pixel = source + away
            points = (source + way[:, None] * (pixel - source)) @ to_room
            attenuation, labels = _look_up(thorax, points)
            step_mm = 0.25 / pose.source_to_detector_mm * np.linalg.norm(pixel - source)
            absorption[row, column] = attenuation.sum() * step_mm
            shadow[row, column] = (labels == 7).any()
    return absorption, shadow


def _look_up(
    thorax: Thorax, points: npt.NDArray[np.float64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.uint8]]:
    shape = np.array(thorax.attenuation.shape)
    index = np.rint(points / MM + (shape - 1) / 2).astype(int)
    index = index[((index >= 0) & (index < shape)).all(1)]
    attenuation = thorax.attenuation + np.float32(POSE.bone_gain) * thorax.bone
    return attenuation[tuple(index.T)], thorax.labels[tuple(index.T)]


@pytest.mark.parametrize(
    "pose",
    [
        POSE,
        replace(POSE, from_behind=True, shift_mm=(8.0, -11.0)),
        replace(POSE, turn=0.3, tilt=-0.15, roll=0.2, shift_mm=(-5.0, 6.0)),
        replace(POSE, from_behind=True, turn=-0.25, tilt=0.2, roll=-0.1),
    ],
)
def test_it_sees_what_rays_see_that_are_followed_one_by_one(pose: Pose) -> None:
    found = project(solid(), pose)
    absorption, shadow = follow(solid(), pose)
    # The rays take the nearest voxel, the code interpolates: they differ at edges.
    difference = np.abs(found.absorption - absorption)
    assert absorption.max() > 1.2
    assert difference.mean() < 0.015
    assert np.quantile(difference, 0.97) < 0.12
    differ = found.silhouettes[7] ^ shadow
    assert shadow.sum() > 200
    assert differ.sum() < 0.04 * shadow.sum()  # voxels at the rim


def test_what_is_nearer_to_the_source_is_larger() -> None:
    from_front = project(solid(), POSE).silhouettes[7].sum()
    from_behind = project(solid(), replace(POSE, from_behind=True)).silhouettes[7].sum()
    # The egg is 10 mm in front of the middle: 740 mm from one source, 760 mm from the other.
    assert from_front / from_behind == pytest.approx((760 / 740) ** 2, rel=0.03)


def test_rays_that_leave_through_top_or_bottom_are_told() -> None:
    low = replace(POSE, pixel_mm=2.0)
    inside = project(solid(), low).inside
    reach_mm = 29 / 2 * MM[1]
    rearmost_mm = 750 + 39 / 2 * MM[0]  # from the source, where a ray has climbed highest
    height_mm = np.abs(np.arange(60) - 29.5) * 2.0 * rearmost_mm / 900
    np.testing.assert_array_equal(inside[:, 36], height_mm < reach_mm)


def test_a_displacement_moves_picture_and_shadow_together() -> None:
    knots = np.zeros((2, 4, 4, 2), np.float32)
    knots[..., 1] = 9.0  # sampled 9 mm farther to the side: everything moves 9 mm back
    still, moved = project(solid(), POSE), project(solid(), POSE, Deformation(knots))
    pixels = 9 * 900 / 740 / 3.0
    for one, other in (
        (still.silhouettes[7], moved.silhouettes[7]),
        (still.absorption > 1.2, moved.absorption > 1.2),
    ):
        shift = np.nonzero(one)[1].mean() - np.nonzero(other)[1].mean()
        assert shift == pytest.approx(pixels, abs=0.3)


def test_knots_are_interpolated_in_depth() -> None:
    knots = np.zeros((3, 4, 4, 2), np.float32)
    knots[1] = 6.0
    deformation = Deformation(knots)
    shifts = [float(deformation.plane(place)[0, 0, 0]) for place in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert shifts == pytest.approx([0, 3, 6, 3, 0])


def test_a_larger_patient_absorbs_more_and_casts_a_larger_shadow() -> None:
    knots = Deformation.none().knots_mm
    still = project(solid(), POSE)
    grown = project(solid(), POSE, Deformation(knots, (1.1, 1.0, 1.2)))
    middle = (30, 36)
    assert grown.absorption[middle] / still.absorption[middle] == pytest.approx(1.1, rel=0.02)
    ratio = grown.silhouettes[7].sum() / still.silhouettes[7].sum()
    assert ratio == pytest.approx(1.2, rel=0.05)


def test_labels_keep_their_slices_and_move_between_them() -> None:
    labels = np.zeros((20, 3, 30), np.uint8)
    labels[5:15, 0, 2:12] = labels[5:15, 1, 8:18] = 4
    labels[2:4, 2, 20:24] = 9
    fine = interpolate_labels(labels, 3)
    assert fine.shape == (20, 9, 30)
    np.testing.assert_array_equal(fine[:, 1::3], labels)
    starts = [int(np.flatnonzero(fine[10, z] == 4)[0]) for z in range(1, 5)]
    assert starts[0] == 2
    assert starts[3] == 8
    assert starts == sorted(starts)
    assert 4 <= starts[1] + 2 <= starts[2] + 2 <= 10
    assert 9 not in fine[:, :6]  # a structure grows by less than a slice
