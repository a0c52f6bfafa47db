"""Drift: whether the films of a day are still like those that the model was trained on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import Counter, Histogram, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from solo.contract.manifest import Manifest
from solo.result import OutOfDistribution

# Each a quarter above the one before (ISO 3, R10): a median read between two of them is less
# than a quarter off. The limit is among them.
_SCORES: Final = (
    *(0.05, 0.063, 0.08, 0.1, 0.125, 0.16, 0.2, 0.25, 0.315, 0.4, 0.5, 0.63, 0.8, 1),
    *(1.25, 1.6, 2, 2.5, 3.15, 4, 5, 6.3, 8, 10),
)


class Drift(Collector):
    """Metrics of the out-of-distribution scores; there as long as the model that answers has them.

    Attributes:
        manifest: of the model that answers.
    """

    def __init__(self, manifest: Callable[[], Manifest]) -> None:
        self.manifest = manifest
        self._scores = Histogram(
            "solo_out_of_distribution_score",
            "How far films are from the training films; 1 is the model's limit",
            buckets=_SCORES,
            registry=None,
        )
        self._flagged = Counter(
            "solo_out_of_distribution_total", "Films beyond the model's limit", registry=None
        )

    def observe(self, found: OutOfDistribution) -> None:
        """Counts a film."""
        self._scores.observe(found.score)
        self._flagged.inc(found.flagged)

    def collect(self) -> Iterator[Metric]:
        """See `Collector`."""
        fit = self.manifest().out_of_distribution
        if fit is not None:
            yield from self._scores.collect()
            yield from self._flagged.collect()
            yield GaugeMetricFamily(
                "solo_out_of_distribution_training_median",
                "Median score of the training films of the model that answers",
                value=fit.median_score,
            )
