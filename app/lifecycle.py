"""Life cycle of the service: readiness, graceful shutdown, requests in flight."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from solo.errors import DrainingError, StartingError


class Phase(Enum):
    """Phase of the process."""

    STARTING = "starting"
    SERVING = "serving"
    LEAVING = "leaving"
    DRAINING = "draining"


class Lifecycle:
    """The service's state, touched by the event loop only.

    Attributes:
        model_answers: whether the last batch succeeded.
        requests_in_flight: requests for a segmentation that are not answered yet.
        fatal: why the process has to end, or None.
    """

    def __init__(self) -> None:
        self._phase = Phase.STARTING
        self.model_answers = True
        self.requests_in_flight = 0
        self.fatal: str | None = None

    @property
    def ready(self) -> bool:
        """Whether a request sent now would be answered."""
        return self._phase is Phase.SERVING and self.model_answers

    @property
    def why_not_ready(self) -> str:
        """A word for the readiness probe."""
        return "model failed" if self._phase is Phase.SERVING else self._phase.value

    def serve(self) -> None:
        """Begins to serve: the model is warm. A service that is stopping stays so."""
        if self._phase is Phase.STARTING:
            self._phase = Phase.SERVING

    def leave(self) -> None:
        """Begins the lame-duck phase: not ready any more, but requests are still taken."""
        if self._phase is not Phase.DRAINING:
            self._phase = Phase.LEAVING if self._phase is Phase.SERVING else Phase.DRAINING

    def drain(self) -> None:
        """Begins the graceful shutdown: no more new work."""
        self._phase = Phase.DRAINING

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
        if self._phase is Phase.STARTING:
            raise StartingError("the model is being warmed up")
        if self._phase is Phase.DRAINING:
            raise DrainingError("the service is stopping and takes no new requests")
        self.requests_in_flight += 1
        try:
            yield
        finally:
            self.requests_in_flight -= 1
