"""The segmenter's events, told to Prometheus and to the life cycle."""

from __future__ import annotations

from app.lifecycle import Lifecycle
from app.metrics import Metrics
from solo.events import Events, Release, Reload
from solo.result import ModelIdentity, Result


class ServiceEvents(Events):
    """Counts what happens, and ends the process when it cannot go on.

    Args:
        metrics: what Prometheus asks for.
        lifecycle: whether the service may be asked.
    """

    def __init__(self, metrics: Metrics, lifecycle: Lifecycle) -> None:
        self._metrics = metrics
        self._lifecycle = lifecycle

    def on_result(self, result: Result) -> None:
        """See `Events`."""
        self._metrics.observe_result(result)

    def on_batch(self, size: int, release: Release) -> None:
        """See `Events`."""
        self._metrics.observe_batch(size, release)

    def on_model(self, model: ModelIdentity) -> None:
        """See `Events`."""
        self._metrics.announce(model)

    def on_health(self, answers: bool) -> None:
        """See `Events`."""
        self._lifecycle.note_model(answers)

    def on_failure(self, reason: str) -> None:
        """See `Events`."""
        self._lifecycle.fail(reason)

    def on_session_reopened(self) -> None:
        """See `Events`."""
        self._metrics.sessions_reopened.inc()

    def on_reload(self, outcome: Reload) -> None:
        """See `Events`."""
        self._metrics.count_reload(outcome)
