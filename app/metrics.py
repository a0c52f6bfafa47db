"""Prometheus metrics; every label set is closed and starts at zero, so that rates work."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from app.drift import Drift
from app.errors import CODES, KINDS
from app.logging import lost_lines
from solo.contract.manifest import Manifest
from solo.events import Events, Release, Reload
from solo.result import ModelIdentity, Result

OTHER_ROUTE = "other"
_STAGES = ("receive", "decode", "queue", "inference", "postprocess", "total")
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class _LostLines(Collector):
    """Lines of the log that nobody took."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        """See `Collector`."""
        text = "Lines of the log that nobody took"
        yield CounterMetricFamily("solo_log_lines_lost", text, value=lost_lines())


class Metrics(Events):
    """The service's metrics in a registry of their own.

    Args:
        registry: where they live; one for each service, so that two in one process do not meet.
        manifest: names the model's classes; `drift.manifest` follows a model that is replaced.
        batch_sizes: the closed set of the model's batch sizes.
        routes: the paths that are told apart; everything else counts as `other`.
        queue_limit: told beside the depth of the queue, so that an alert can compare them.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        manifest: Manifest,
        batch_sizes: Iterable[int],
        routes: Iterable[str],
        queue_limit: int,
    ) -> None:
        def gauge(name: str, text: str) -> Gauge:
            return Gauge(name, text, registry=registry)

        def counter(name: str, text: str, label: str, values: Iterable[str]) -> dict[str, Counter]:
            family = Counter(name, text, [label], registry=registry)
            return {value: family.labels(value) for value in values}

        self.registry = registry
        self.requests = Counter(
            "solo_requests_total", "Answered requests", ["route", "code"], registry=registry
        )
        for route in (*routes, OTHER_ROUTE):
            for code in CODES:
                self.requests.labels(route, str(code))
        stages = Histogram(
            "solo_stage_seconds",
            "Time in each stage: receive and total of a request, the others of an image",
            ["stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.stages = {stage: stages.labels(stage) for stage in _STAGES}
        self._batch_size = Histogram(
            "solo_batch_size",
            "Images in a run of the model, padding not counted",
            buckets=tuple(batch_sizes),
            registry=registry,
        )
        self._releases = counter(
            "solo_batch_released_total",
            "Batches by why they left: full, the model was idle, or the batch window was over",
            "reason",
            get_args(Release),
        )
        self.queue_depth = gauge(
            "solo_queue_depth", "Images waiting for the model, those being decoded included"
        )
        gauge("solo_queue_limit", "Most images that may wait").set(queue_limit)
        self.body_bytes = gauge("solo_body_bytes", "Bytes of requests' bodies in memory")
        self.rejected = counter(
            "solo_rejected_total",
            "Images and requests without an answer, by the kind of problem",
            "reason",
            KINDS,
        )
        self._instances = counter(
            "solo_instances_total", "Instances in answers", "label", manifest.class_names
        )
        self.ready = gauge("solo_ready", "1 while /healthz/ready says so")
        self._model_info = Gauge(
            "solo_model_info",
            "The model that answers",
            ["name", "version", "sha256", "provider"],
            registry=registry,
        )
        self._sessions_reopened = Counter(
            "solo_sessions_reopened_total",
            "New sessions on the device after the self-test had failed",
            registry=registry,
        )
        self._reloads = counter(
            "solo_model_replacements_total",
            "Attempts to replace the model, by what came of them",
            "outcome",
            get_args(Reload),
        )
        registry.register(_LostLines())
        self.drift = Drift(lambda: manifest)
        registry.register(self.drift)

    def on_result(self, result: Result) -> None:
        """Counts the time of an image's stages, its instances by class, and its distance."""
        for name, seconds in vars(result.timings).items():
            self.stages[name.removesuffix("_seconds")].observe(seconds)
        for instance in result.instances:
            self._instances[instance.label].inc()
        if result.out_of_distribution is not None:
            self.drift.observe(result.out_of_distribution)

    def on_batch(self, size: int, release: Release) -> None:
        """Counts a batch."""
        self._batch_size.observe(size)
        self._releases[release].inc()

    def on_model(self, model: ModelIdentity) -> None:
        """Says which model answers from now on."""
        self._model_info.clear()
        labels = (model.name, model.version, model.sha256, model.provider)
        self._model_info.labels(*labels).set(1)

    def on_session_reopened(self) -> None:
        """Counts a new session."""
        self._sessions_reopened.inc()

    def on_reload(self, outcome: Reload) -> None:
        """Counts a hot reload."""
        self._reloads[outcome].inc()
