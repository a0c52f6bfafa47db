"""The segmenter's events, told to Prometheus and to the life cycle."""

from __future__ import annotations

from app.lifecycle import Lifecycle
from app.metrics import Metrics


class ServiceEvents(Metrics):
    """Metrics that also tell the life cycle what ends or suspends the service.

    Attributes:
        lifecycle: set by whoever puts the service together.
    """

    lifecycle: Lifecycle

    def on_health(self, answers: bool) -> None:
        """See `Events`."""
        self.lifecycle.model_answers = answers

    def on_failure(self, reason: str) -> None:
        """See `Events`."""
        self.lifecycle.fail(reason)
