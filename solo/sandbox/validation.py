"""Validation of a worker's replies: they are believed only if they can be true.

A process that a file has taken over may say anything, and its canvas shares a batch with others.
"""

from __future__ import annotations

from math import inf, isfinite
from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from solo.decoding.radiograph import RadiographInfo
from solo.decoding.stored_pixels import Display
from solo.sandbox.header_transfer import check_header
from solo.sandbox.protocol import Report

_REPORTS: Final = TypeAdapter(Report)


def read_report(message: bytes, max_pixels: int) -> Report:
    """Reads a message and checks what it says of the frame.

    Args:
        message: from the process.
        max_pixels: most pixels of one image.

    Raises:
        ValueError: for what no decoder of ours says.
    """
    report = _REPORTS.validate_json(message)
    if report.info is not None:
        _check(report.info, max_pixels)
    if report.display is not None:
        _check_display(report.display)
    if report.header is not None:
        check_header(report.header)
    return report


def is_canvas(canvas: npt.NDArray[np.float32]) -> bool:
    """Whether all of it is in [0, 1]; NaN is not."""
    return bool(canvas.min() >= 0 and canvas.max() <= 1)


def are_values(values: npt.NDArray[np.float32]) -> bool:
    """Whether modality values are finite, or NaN for padding."""
    return not np.isinf(values).any()


def _check_display(display: Display) -> None:
    window = display.window
    if not (isfinite(window.center) and 0 < window.width < inf):
        raise ValueError("a window of no possible range")


def _check(info: RadiographInfo, max_pixels: int) -> None:
    if min(info.height, info.width) < 1 or info.height * info.width > max_pixels:
        raise ValueError("an image of no possible size")
    if not 0 <= info.frame < info.frames:
        raise ValueError("a frame that is not there")
    spacing = info.pixel_spacing
    if spacing and not (0 < spacing.row_mm < inf and 0 < spacing.column_mm < inf):
        raise ValueError("pixels of no possible size")
