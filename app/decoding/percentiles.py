"""Grey levels for files that do not say which of their values are black and white."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from app.decoding.radiograph import Grey, as_grey

LOW_PERCENT = 0.5
HIGH_PERCENT = 99.5


def histogram(values: Grey) -> npt.NDArray[np.int64]:
    """How often each value occurs: int64 [256] for uint8, int64 [65536] for uint16."""
    bins = np.iinfo(values.dtype).max + 1
    # OpenCV counts in float32, which is exact up to 2^24: hence blocks of rows.
    rows = max(1, 2**24 // values.shape[1])
    total = np.zeros(bins, np.int64)
    for start in range(0, len(values), rows):
        block = as_grey(np.ascontiguousarray(values[start : start + rows]))
        counts = cv2.calcHist([block], [0], None, [bins], [0, bins])
        total += counts.ravel().astype(np.int64)
    return total


def percentile_range(
    levels: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """The levels below which 0.5 % and 99.5 % of the pixels lie.

    Args:
        levels: float64 [N], in any order.
        counts: int64 [N], pixels at each level.

    Returns:
        (low, high), low <= high; (0, 0) where there are no pixels.
    """
    present = counts > 0
    if not present.any():
        return 0.0, 0.0
    levels, counts = levels[present], counts[present]
    order = np.argsort(levels, kind="stable")
    cumulative = np.cumsum(counts[order])
    wanted = np.array([LOW_PERCENT, HIGH_PERCENT]) / 100 * cumulative[-1]
    low, high = levels[order][np.searchsorted(cumulative, wanted)]
    return float(low), float(high)
