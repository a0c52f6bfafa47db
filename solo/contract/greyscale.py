"""Greyscale conversion: luminance of colour, and percentile stretch of 16 bits.

Training and serving must agree on it. `Grey` is uint8 or uint16 where the dtype's full range is
black to white.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]

LOW_PERCENT = 0.5
HIGH_PERCENT = 99.5


def as_grey(pixels: npt.NDArray[np.generic]) -> Grey:
    """Narrows the type of a uint8 or uint16 array, in the machine's byte order.

    Raises:
        TypeError: for another dtype.
    """
    if pixels.dtype.kind != "u" or pixels.dtype.itemsize > 2:
        raise TypeError(f"grey is uint8 or uint16, not {pixels.dtype}")
    if pixels.dtype.itemsize == 1:
        return pixels.astype(np.uint8, copy=False)
    return pixels.astype(np.uint16, copy=False)


def luminance(pixels: Grey) -> Grey:
    """Grey of uint8 or uint16 [H, W], [H, W, 3] BGR or [H, W, 4] BGRA; alpha is dropped."""
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] == 1:
        return pixels[:, :, 0]
    code = cv2.COLOR_BGR2GRAY if pixels.shape[2] == 3 else cv2.COLOR_BGRA2GRAY
    return as_grey(cv2.cvtColor(pixels, code))


def stretch(pixels: Grey) -> Grey:
    """Percentile stretch of 16 bits, between 0.5 % and 99.5 %; 8 bits are left as they are.

    Files of 16 bits mostly hold the 10 to 14 bits of a detector and would be nearly black.

    Args:
        pixels: uint8 or uint16 [H, W].

    Returns:
        Same shape and dtype.
    """
    if pixels.dtype == np.uint8:
        return pixels
    table, _, _ = stretch_table(pixels)
    return as_grey(cv2.LUT(pixels, table))


def stretch_table(pixels: Grey) -> tuple[npt.NDArray[np.uint16], float, float]:
    """The lookup table of `stretch`, uint16 [65536], and the two percentiles."""
    levels = np.arange(65536, dtype=np.float64)
    low, high = percentile_range(levels, histogram(pixels))
    table = np.clip((levels - low) / max(high - low, 1.0), 0, 1) * 65535
    return table.round().astype(np.uint16), low, high


def histogram(values: Grey) -> npt.NDArray[np.int64]:
    """Histogram of grey values: int64 [256] for uint8, int64 [65536] for uint16."""
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
    """The 0.5 and 99.5 percentiles of the pixels' levels.

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
