"""What a decoder's process says is believed only if it can be true.

A process that a file has taken over may say anything, and its canvas shares a batch with others.
"""

from __future__ import annotations

from math import inf
from typing import Final

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from solo.sandbox.protocol import FilmFacts, Report

_REPORTS: Final = TypeAdapter(Report)


def read_report(message: bytes, max_pixels: int) -> Report:
    """Reads a message and checks its facts.

    Args:
        message: from the process.
        max_pixels: most pixels of one image.

    Raises:
        ValueError: for what no decoder of ours says.
    """
    report = _REPORTS.validate_json(message)
    if report.facts is not None:
        _check(report.facts, max_pixels)
    return report


def is_canvas(canvas: npt.NDArray[np.float32]) -> bool:
    """Whether all of it is in [0, 1]; NaN is not."""
    return bool(canvas.min() >= 0 and canvas.max() <= 1)


def _check(facts: FilmFacts, max_pixels: int) -> None:
    if min(facts.height, facts.width) < 1 or facts.height * facts.width > max_pixels:
        raise ValueError("a film of no possible size")
    if not 0 <= facts.frame < facts.frames:
        raise ValueError("a frame that is not there")
    spacing = facts.spacing
    if spacing and not (0 < spacing.row_mm < inf and 0 < spacing.column_mm < inf):
        raise ValueError("pixels of no possible size")
