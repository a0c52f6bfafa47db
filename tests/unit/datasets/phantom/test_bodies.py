"""Solids whose volume and shadow are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from datasets.phantom.bodies import SHAPES, Body
from datasets.phantom.radiograph import Image

WHOLE = (slice(0, 400), slice(0, 400))
# Of a solid of unit half axes: the area of its shadow, and the integral of its thickness.
_RING_AREA = math.pi * (1 - 0.44**2)
AREAS = {"ball": math.pi, "box": 4.0, "cylinder": 4.0, "ring": _RING_AREA, "wedge": 2.0}
VOLUMES = {
    "ball": 2 * math.pi / 3,
    "box": 4.0,
    "cylinder": math.pi,
    # The theorem of Pappus, on half a tube of depth 1 instead of its own radius.
    "ring": math.pi * 0.28 / 2 * 2 * math.pi * 0.72,
    # 0.4 + 0.3 (1 + x) over a width of 1 - x.
    "wedge": 0.7 * 2 - 0.3 * 2 / 3,
}


def shadow(body: Body) -> Image:
    return body.thickness(WHOLE)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_shadow_and_volume_are_those_of_the_solid(shape: str, angle: float) -> None:
    thickness = shadow(Body(shape, (200.3, 198.8), (150.0, 90.0), angle, 1.0))
    unit = 150.0 * 90.0
    assert (thickness > 0).sum() / unit == pytest.approx(AREAS[shape], rel=5e-3)
    assert thickness.sum() / unit == pytest.approx(VOLUMES[shape], rel=5e-3)
    assert 0.95 < thickness.max() <= 1


def test_length_lies_along_the_angle() -> None:
    thickness = shadow(Body("box", (200, 200), (100, 10), math.radians(30), 1.0))
    rows, columns = np.nonzero(thickness)
    slope = np.polyfit(columns, rows, 1)[0]
    assert slope == pytest.approx(math.tan(math.radians(30)), rel=0.02)  # rows run down
    assert rows.mean() + 0.5 == pytest.approx(200, abs=0.1)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("center", [(30.0, 30.0), (-5.0, 20.0), (58.0, 63.0), (-90.0, 500.0)])
def test_a_window_holds_all_that_is_on_the_film(shape: str, center: tuple[float, float]) -> None:
    body = Body(shape, center, (17.0, 11.0), 0.5, 1.0)
    size = (60, 70)
    whole = body.thickness((slice(0, size[0]), slice(0, size[1])))
    found = np.zeros(size, np.float32)
    found[body.window(size)] = body.thickness(body.window(size))
    np.testing.assert_array_equal(found, whole)
