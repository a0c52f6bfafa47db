"""Health: whether the model answers, and why the process has to end."""

from __future__ import annotations

from solo.events import Events


class Health:
    """The state of the model that serves, touched by the event loop only.

    Args:
        events: told of every change.

    Attributes:
        fatal: why the process has to end, or None.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self.fatal: str | None = None

    def note(self, answers: bool) -> None:
        """The last batch, or the last self-test, succeeded or failed."""
        self._events.on_health(answers)

    def fail(self, reason: str) -> None:
        """The process cannot go on; what else fails after the first reason is no news."""
        if self.fatal is None:
            self.fatal = reason
            self._events.on_failure(reason)
