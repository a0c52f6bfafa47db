"""Pixel spacing of projection radiographs, and its source (PS3.3 10.7.1).

A projection has no one scale: what is nearer to the tube is larger on the detector. Millimetres are
therefore never given without where they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final, Literal

SpacingSource = Literal["fiducial", "geometry", "detector", "unknown"]
_CORRECTIONS: Final[dict[str, SpacingSource]] = {"FIDUCIAL": "fiducial", "GEOMETRY": "geometry"}


@dataclass(frozen=True)
class PixelSpacing:
    """Pixel spacing: distance between pixel centres, rows first (PS3.3 10.7.1.3).

    Attributes:
        row_mm: distance between rows.
        column_mm: distance between columns.
        source: `detector` (at the detector's plane, uncorrected), `geometry` (corrected for an
            assumed magnification), `fiducial` (calibrated on an object of known size), or
            `unknown`.
    """

    row_mm: float
    column_mm: float
    source: SpacingSource


def choose_spacing(
    imager: Sequence[float],
    pixel: Sequence[float],
    calibration: str,
) -> PixelSpacing | None:
    """Pixel spacing from a radiograph's two attributes (PS3.3 10.7.1.1 to 10.7.1.3).

    Args:
        imager: Imager Pixel Spacing (0018,1164) in mm, at the detector's plane; empty where absent.
        pixel: Pixel Spacing (0028,0030) in mm. Equal to the former it is not calibrated;
            different, it is corrected.
        calibration: Pixel Spacing Calibration Type (0028,0A02), GEOMETRY, FIDUCIAL or empty.

    Returns:
        The spacing, or None where neither is usable.
    """
    detector, corrected = _pair(imager), _pair(pixel)
    if corrected is None:
        return None if detector is None else PixelSpacing(*detector, "detector")
    if corrected == detector:
        return PixelSpacing(*corrected, "detector")
    return PixelSpacing(*corrected, _CORRECTIONS.get(calibration, "unknown"))


def _pair(values: Sequence[float]) -> tuple[float, float] | None:
    if len(values) != 2:
        return None
    row_mm, column_mm = values
    usable = all(isfinite(value) and value > 0 for value in values)
    return (row_mm, column_mm) if usable else None
