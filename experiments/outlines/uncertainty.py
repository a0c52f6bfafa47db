"""What tells a good outline from a bad one: measures of a soft mask beside the true Dice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from experiments.outlines.judged import Judged
from solo.masks.uncertainty import outline_uncertainty

Floats = npt.NDArray[np.float64]
Measure = Callable[[Judged, float], float]


def _served(one: Judged, threshold: float) -> float:
    return float(outline_uncertainty(one.on_film[None], threshold)[0])


def _score(one: Judged, _: float) -> float:
    return one.score


def _expected_dice(one: Judged, threshold: float) -> float:
    """2 sum(p b) / (sum(b) + sum(p)) of the probabilities p and the mask b."""
    p = one.on_film / 255
    b = p > threshold
    return float(2 * p[b].sum() / (b.sum() + p.sum()))


def _variance(one: Judged, threshold: float) -> float:
    """Sum of p (1 - p) over the area."""
    p = one.on_film / 255
    return float((p * (1 - p)).sum() / max((p > threshold).sum(), 1))


def _doubt(least: float, power: float) -> Measure:
    """Pixels from `least` to 1 - `least` over a power of the area."""

    def measure(one: Judged, threshold: float) -> float:
        p = one.on_film / 255
        doubt = ((p >= least) & (p <= 1 - least)).sum()
        return float(doubt / max((p > threshold).sum(), 1) ** power)

    return measure


MEASURES: Final[dict[str, Measure]] = {
    "score": _score,
    "Dice expected from the soft mask": _expected_dice,
    "sum of p (1 - p) over the area": _variance,
    "pixels of .2 to .8 over the root of the area": _doubt(0.2, 0.5),
    "pixels of .2 to .8 over the area": _doubt(0.2, 1),
    "pixels of .1 to .9 over the root of the area": _doubt(0.1, 0.5),
    "outline_uncertainty": _served,
}


def pearson(one: Floats, other: Floats) -> float:
    """The correlation of two series of numbers."""
    return float(np.corrcoef(one, other)[0, 1])


def spearman(one: Floats, other: Floats) -> float:
    """The correlation of their ranks; equal numbers have the mean of theirs."""
    return pearson(_ranks(one), _ranks(other))


def _ranks(values: Floats) -> Floats:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - (count - 1) / 2)[place], np.float64)
