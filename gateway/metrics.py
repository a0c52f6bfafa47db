"""Prometheus metrics; every label set is closed and starts at zero, so that rates work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.outcomes import OUTCOMES
from gateway.settings import KINDS

REASONS: Final = (
    *("service-lost", "archive-lost", "service-token", "archive-token"),
    *("service-away", "service-time", "service-size", "service-busy", "service-status"),
    *("service-error", "service-result", "archive-away", "archive-time", "archive-size"),
    *("archive-busy", "archive-status", "archive-association", "archive-refuses"),
    *(
        "archive-unlisted",
        "archive-answer",
        "hold-time",
        "films-full",
        "draining",
        "memory",
        "internal",
        "other-object",
    ),
)
REFUSED: Final = ("400", "413", "415", "422")
STAGES: Final = ("fetch", "segment", "deliver", "total")
REJECTIONS: Final = (
    *("source", "connections", "tls", "request", "contexts"),
    *("pdu-size", "film-size", "memory", "refused"),
)
_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The gateway's metrics, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, text: str, label: str, values: tuple[str, ...]) -> Counter:
            family = Counter(f"solo_gateway_{name}", text, [label], registry=self.registry)
            for value in values:
                family.labels(value)
            return family

        def gauge(name: str, text: str) -> Gauge:
            return Gauge(f"solo_gateway_{name}", text, registry=self.registry)

        self.films = counter("films_total", "Films by what became of them", "outcome", OUTCOMES)
        self.refused = counter(
            "refused_total", "Films that the service refuses, by its status", "status", REFUSED
        )
        self.failures = counter(
            "failures_total", "Attempts that ended without a result, by why", "reason", REASONS
        )
        self.delivered = counter(
            "delivered_total", "Objects that the archive says it has", "kind", KINDS
        )
        self.rejected = counter(
            "associations_rejected_total", "Connections that were cut off", "reason", REJECTIONS
        )
        self.stages = Histogram(
            "solo_gateway_stage_seconds",
            "Time of a film in each stage",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        for stage in STAGES:
            self.stages.labels(stage)
        self.held = gauge("held", "Films in work")
        self.associations = gauge("associations", "Associations that are open")
        self.ready = gauge("ready", "Whether films are taken")
        self.cursor_lag = gauge("cursor_lag", "Changes of the archive that are not looked at yet")
        self.last_delivery = gauge(
            "last_delivery_timestamp_seconds", "When the archive last listed a result"
        )

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Measures a stage, whether it succeeds or not."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.stages.labels(stage).observe(time.monotonic() - begun)
