"""Calibration of scores: of instances with score 0.8, four in five should be right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_BINS = 10


@dataclass(frozen=True)
class ScoreBin:
    """Instances with scores in [low, high), the last bin including 1.

    Attributes:
        low: smallest score of the bin.
        high: smallest score of the next.
        count: instances in it.
        mean_score: of these; 0 without any.
        precision: part of these that are right; 0 without any.
    """

    low: float
    high: float
    count: int
    mean_score: float
    precision: float


def calibrate(
    scores: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]
) -> tuple[float | None, tuple[ScoreBin, ...]]:
    """The expected calibration error (Guo et al. 2017, arXiv 1706.04599, equation 3) and its bins.

    Args:
        scores: float64 [N] in [0, 1].
        right: bool [N].

    Returns:
        The mean over instances of the gap between precision and mean score of their bin, None
        without instances, and ten bins of equal width.
    """
    place = np.minimum((scores * _BINS).astype(np.int64), _BINS - 1)
    bins = []
    for index in range(_BINS):
        inside = place == index
        count = int(inside.sum())
        bins.append(
            ScoreBin(
                low=index / _BINS,
                high=(index + 1) / _BINS,
                count=count,
                mean_score=float(scores[inside].mean()) if count else 0.0,
                precision=float(right[inside].mean()) if count else 0.0,
            )
        )
    if not len(scores):
        return None, tuple(bins)
    gaps = sum(item.count * abs(item.precision - item.mean_score) for item in bins)
    return gaps / len(scores), tuple(bins)
