"""Repeat-factor sampling: films of rare classes come more often (LVIS, arXiv 1908.03195)."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import numpy.typing as npt

from model.data.coco import CocoDataset


def repeat_factors(data: CocoDataset, threshold: float) -> npt.NDArray[np.float64] | None:
    """How often each film comes in a round of as many samples as there are films, on average.

    A class on a part f of the films has the factor max(1, sqrt(threshold / f)), a film the largest
    factor of its classes. Here the factors are divided by their mean, so that a round stays a
    round: what is not rare comes less often instead.

    Returns:
        float64 [films], of mean 1; None where all are alike.
    """
    labels = [{a.label for a in record.annotations if not a.is_crowd} for record in data.images]
    films = Counter(label for shown in labels for label in shown)
    factor = {
        label: max(1.0, math.sqrt(threshold * len(labels) / count))
        for label, count in films.items()
    }
    factors = np.array([max((factor[label] for label in shown), default=1.0) for shown in labels])
    if not len(factors) or np.ptp(factors) == 0:
        return None
    return np.asarray(factors / factors.mean(), np.float64)


def draw_round(
    factors: npt.NDArray[np.float64] | None, films: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """The films of a round in a random order, int64 [films].

    Without factors each comes once. With them a film comes its factor's whole part, or once more
    (systematic sampling): in no round is a rare class left to chance alone.
    """
    order = rng.permutation(films)
    if factors is None:
        return order
    edges = np.cumsum(factors[order])
    places = np.searchsorted(edges, rng.random() + np.arange(films), side="right")
    return order[np.minimum(places, films - 1)][rng.permutation(films)]
