"""Life cycle of the service: readiness, graceful shutdown, requests in flight."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from app.logging import write
from solo.errors import DrainingError, StartingError

_logger = logging.getLogger(__name__)

Phase = Literal["starting", "serving", "leaving", "draining"]
"""Phase of the process."""


class Lifecycle:
    """The service's state, touched by the event loop only.

    Attributes:
        model_answers: whether the last batch succeeded.
        requests_in_flight: requests for a segmentation that are not answered yet.
        reload_when_warm: whether a SIGHUP came while the model was being warmed up.
        fatal: why the process has to end, or None.
    """

    def __init__(self) -> None:
        self._phase: Phase = "starting"
        self.reload_when_warm = False
        self.model_answers = True
        self.requests_in_flight = 0
        self.fatal: str | None = None

    @property
    def phase(self) -> Phase:
        """The phase of the process."""
        return self._phase

    @property
    def ready(self) -> bool:
        """Whether a request sent now would be answered."""
        return self._phase == "serving" and self.model_answers

    @property
    def why_not_ready(self) -> str:
        """A word for the readiness probe."""
        return "model failed" if self._phase == "serving" else self._phase

    def serve(self) -> None:
        """Begins to serve: the model is warm. A service that is stopping stays so."""
        if self._phase == "starting":
            self._phase = "serving"

    def leave(self) -> None:
        """Begins the lame-duck phase: not ready any more, but requests are still taken."""
        self._phase = "leaving" if self._phase == "serving" else "draining"
        write(_logger, "stopping", requests_in_flight=self.requests_in_flight)

    def drain(self) -> None:
        """Begins the graceful shutdown: no more new work."""
        self._phase = "draining"

    def fail(self, reason: str) -> None:
        """Ends the process at the server's next tick: it cannot go on."""
        self.fatal = reason
        self.drain()

    @contextmanager
    def admission(self) -> Iterator[None]:
        """Counts a request in and out.

        A service whose model failed still takes requests: the next batch tells.

        Raises:
            StartingError: before the model is warm.
            DrainingError: when the service is stopping.
        """
        if self._phase == "starting":
            raise StartingError("the model is being warmed up")
        if self._phase == "draining":
            raise DrainingError("the service is stopping and takes no new requests")
        self.requests_in_flight += 1
        try:
            yield
        finally:
            self.requests_in_flight -= 1
