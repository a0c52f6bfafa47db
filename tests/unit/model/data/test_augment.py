"""Random placements stay what their description promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.configuration.recipe import Augmentation, TrainConfig
from model.data.augment import random_placement

sides = st.integers(8, 4000)
canvases = st.sampled_from([(64, 64), (256, 192), (512, 512)])


@given(sides, sides, canvases, st.integers(0, 10_000))
def test_scale_aspect_and_turn_are_within_bounds(
    height: int, width: int, canvas: tuple[int, int], seed: int
) -> None:
    affine = random_placement((height, width), canvas, Augmentation(), np.random.default_rng(seed))
    assert affine.shape == (2, 3)
    assert affine.dtype == np.float64
    linear = affine[:, :2]
    fit = min(canvas[0] / height, canvas[1] / width)
    along_x, along_y = np.linalg.norm(linear, axis=0)
    assert 0.7 - 1e-9 <= math.sqrt(along_x * along_y) / fit <= 1.25 + 1e-9
    assert 1 / 1.151 <= along_x / along_y <= 1.151
    # No shear: what was a right angle stays one, and upright films stay nearly so.
    assert abs(float(linear[:, 0] @ linear[:, 1])) < 1e-9 * along_x * along_y
    assert linear[1, 1] / along_y >= math.cos(math.radians(20)) - 1e-9


@given(sides, sides, canvases, st.integers(0, 10_000))
def test_the_films_middle_stays_on_the_canvas(
    height: int, width: int, canvas: tuple[int, int], seed: int
) -> None:
    affine = random_placement((height, width), canvas, Augmentation(), np.random.default_rng(seed))
    x, y = affine @ (width / 2, height / 2, 1)
    assert 0 <= x <= canvas[1]
    assert 0 <= y <= canvas[0]


def test_half_are_mirrored_and_places_differ() -> None:
    rng = np.random.default_rng(0)
    drawn = np.stack(
        [random_placement((300, 200), (64, 64), Augmentation(), rng) for _ in range(400)]
    )
    mirrored = np.linalg.det(drawn[:, :, :2]) < 0
    assert 0.4 < mirrored.mean() < 0.6
    assert len(np.unique(drawn, axis=0)) == 400
    angles = np.degrees(np.arctan2(-drawn[:, 0, 1], drawn[:, 1, 1]))
    assert angles.std() == pytest.approx(7, abs=1)


def test_the_same_generator_gives_the_same_placement() -> None:
    one, other = (
        random_placement((300, 200), (64, 64), Augmentation(), np.random.default_rng(8))
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("scale", (1.25, 0.7)),
        ("scale", (0.0, 1.0)),
        ("scale", (-1.0, 1.0)),
        ("scale", (float("nan"), 1.0)),
        ("scale", (1.0, float("inf"))),
        ("scale", (0.7,)),
        ("aspect", -0.1),
        ("aspect", 5.0),
        ("aspect", float("nan")),
        ("rotation_degrees", -1.0),
        ("rotation_degrees", float("inf")),
        ("rotation_degrees", float("nan")),
    ],
)
def test_changes_that_leave_nothing_of_a_film_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"augmentation.{field} must be"):
        TrainConfig.from_dict({"iterations": 1, "augmentation": {field: value}})
