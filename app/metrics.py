"""What Prometheus can ask; every label set is closed and starts at zero, so that rates work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from solo.errors import error_classes
from solo.inference.engine import Engine

Stage = Literal["receive", "decode", "queue", "inference", "postprocess", "total"]
Release = Literal["full", "idle", "wait"]
Replacement = Literal["swapped", "refused", "rolled_back"]

OTHER_ROUTE = "other"
_CODES = sorted({200, 404, 405, *(error.status for error in error_classes())})
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The service's metrics in a registry of their own.

    Args:
        registry: where they live; one for each service, so that two in one process do not meet.
        engine: names the model, its classes and its batch sizes.
        routes: the paths that are told apart; everything else counts as `other`.
        queue_limit: told beside the depth of the queue, so that an alert can compare them.
    """

    def __init__(
        self, registry: CollectorRegistry, engine: Engine, routes: Iterable[str], queue_limit: int
    ) -> None:
        self.registry = registry
        self.requests = Counter(
            "solo_requests_total", "Answered requests", ["route", "code"], registry=registry
        )
        for route in (*routes, OTHER_ROUTE):
            for code in _CODES:
                self.requests.labels(route, str(code))
        stages = Histogram(
            "solo_stage_seconds",
            "Time in each stage: receive and total of a request, the others of an image",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._stages = {stage: stages.labels(stage) for stage in get_args(Stage)}
        self.batch_size = Histogram(
            "solo_batch_size",
            "Images in a run of the model, padding not counted",
            buckets=engine.batch_sizes,
            registry=registry,
        )
        self._releases = Counter(
            "solo_batch_released_total",
            "Batches by why they left: full, the model was idle, or it had waited for company",
            ["reason"],
            registry=registry,
        )
        for reason in get_args(Release):
            self._releases.labels(reason)
        self.queue_depth = Gauge(
            "solo_queue_depth",
            "Images waiting for the model, those being decoded included",
            registry=registry,
        )
        Gauge("solo_queue_limit", "Most images that may wait", registry=registry).set(queue_limit)
        self.body_bytes = Gauge(
            "solo_body_bytes", "Bytes of requests' bodies in memory", registry=registry
        )
        self._rejected = Counter(
            "solo_rejected_total",
            "Images and requests without an answer, by the kind of problem",
            ["reason"],
            registry=registry,
        )
        for error in error_classes():
            self._rejected.labels(error.kind)
        self._instances = Counter(
            "solo_instances_total", "Instances in answers", ["label"], registry=registry
        )
        for name in engine.manifest.class_names:
            self._instances.labels(name)
        self.ready = Gauge("solo_ready", "1 while /healthz/ready says so", registry=registry)
        self._model_info = Gauge(
            "solo_model_info",
            "The model that answers",
            ["name", "version", "sha256", "provider"],
            registry=registry,
        )
        self.announce(engine)
        self.sessions_reopened = Counter(
            "solo_sessions_reopened_total",
            "New sessions on the device after the golden film had failed",
            registry=registry,
        )
        self._replacements = Counter(
            "solo_model_replacements_total",
            "Attempts to replace the model, by what came of them",
            ["outcome"],
            registry=registry,
        )
        for outcome in get_args(Replacement):
            self._replacements.labels(outcome)

    def announce(self, engine: Engine) -> None:
        """Says which model answers from now on."""
        self._model_info.clear()
        manifest = engine.manifest
        labels = (manifest.name, manifest.version, engine.sha256, engine.provider)
        self._model_info.labels(*labels).set(1)

    def count_replacement(self, outcome: Replacement) -> None:
        """Counts an attempt to replace the model."""
        self._replacements.labels(outcome).inc()

    def observe_stage(self, stage: Stage, seconds: float) -> None:
        """Counts the time of one stage."""
        self._stages[stage].observe(seconds)

    def observe_batch(self, size: int, reason: Release) -> None:
        """Counts a batch."""
        self.batch_size.observe(size)
        self._releases.labels(reason).inc()

    def count_rejected(self, kind: str) -> None:
        """Counts an image or request without an answer."""
        self._rejected.labels(kind).inc()

    def count_instances(self, label: str) -> None:
        """Counts an instance in an answer."""
        self._instances.labels(label).inc()
