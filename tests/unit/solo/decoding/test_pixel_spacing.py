from __future__ import annotations

import math

import pytest

from solo.decoding.pixel_spacing import PixelSpacing, SpacingSource, choose_spacing


@pytest.mark.parametrize(
    ("imager", "pixel", "calibration", "expected"),
    [
        ([0.1, 0.2], [], "", (0.1, 0.2, "detector")),
        ([0.1, 0.2], [0.1, 0.2], "", (0.1, 0.2, "detector")),
        ([0.1, 0.2], [0.1, 0.2], "GEOMETRY", (0.1, 0.2, "detector")),
        ([0.2, 0.2], [0.1, 0.2], "GEOMETRY", (0.1, 0.2, "geometry")),
        ([0.2, 0.2], [0.1, 0.2], "FIDUCIAL", (0.1, 0.2, "fiducial")),
        ([0.2, 0.2], [0.1, 0.2], "", (0.1, 0.2, "unknown")),
        ([], [0.1, 0.2], "", (0.1, 0.2, "unknown")),
        ([], [0.1, 0.2], "FIDUCIAL", (0.1, 0.2, "fiducial")),
    ],
)
def test_spacing_says_where_it_comes_from(
    imager: list[float],
    pixel: list[float],
    calibration: str,
    expected: tuple[float, float, SpacingSource],
) -> None:
    assert choose_spacing(imager, pixel, calibration) == PixelSpacing(*expected)


@pytest.mark.parametrize(
    "useless", [[], [0.1], [math.nan, 0.1], [0.0, 0.1], [-1.0, 0.1], [float("inf"), 1]]
)
def test_useless_spacing_is_none(useless: list[float]) -> None:
    assert choose_spacing(useless, useless, "") is None
