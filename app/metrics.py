"""Prometheus metrics; every label set is closed and starts at zero, so that rates work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from app.statuses import CODES, KINDS
from solo.contract.manifest import Manifest
from solo.events import Release, Reload
from solo.result import ModelIdentity, Result

Stage = Literal["receive", "decode", "queue", "inference", "postprocess", "total"]

OTHER_ROUTE = "other"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """The service's metrics in a registry of their own.

    Args:
        registry: where they live; one for each service, so that two in one process do not meet.
        manifest: names the model's classes.
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
        self._stages = {stage: stages.labels(stage) for stage in get_args(Stage)}
        self.batch_size = Histogram(
            "solo_batch_size",
            "Images in a run of the model, padding not counted",
            buckets=tuple(batch_sizes),
            registry=registry,
        )
        self._releases = Counter(
            "solo_batch_released_total",
            "Batches by why they left: full, the model was idle, or the batch window was over",
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
        for kind in KINDS:
            self._rejected.labels(kind)
        self._instances = Counter(
            "solo_instances_total", "Instances in answers", ["label"], registry=registry
        )
        for name in manifest.class_names:
            self._instances.labels(name)
        self.ready = Gauge("solo_ready", "1 while /healthz/ready says so", registry=registry)
        self._model_info = Gauge(
            "solo_model_info",
            "The model that answers",
            ["name", "version", "sha256", "provider"],
            registry=registry,
        )
        self.sessions_reopened = Counter(
            "solo_sessions_reopened_total",
            "New sessions on the device after the self-test had failed",
            registry=registry,
        )
        self._reloads = Counter(
            "solo_model_replacements_total",
            "Attempts to replace the model, by what came of them",
            ["outcome"],
            registry=registry,
        )
        for outcome in get_args(Reload):
            self._reloads.labels(outcome)

    def announce(self, model: ModelIdentity) -> None:
        """Says which model answers from now on."""
        self._model_info.clear()
        labels = (model.name, model.version, model.sha256, model.provider)
        self._model_info.labels(*labels).set(1)

    def count_reload(self, outcome: Reload) -> None:
        """Counts a hot reload."""
        self._reloads.labels(outcome).inc()

    def observe_result(self, result: Result) -> None:
        """Counts the time of an image's stages, and its instances by class."""
        timings = result.timings
        self.observe_stage("decode", timings.decode_seconds)
        self.observe_stage("queue", timings.queue_seconds)
        self.observe_stage("inference", timings.inference_seconds)
        self.observe_stage("postprocess", timings.postprocess_seconds)
        for instance in result.instances:
            self._instances.labels(instance.label).inc()

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
