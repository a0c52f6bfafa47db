"""Time-outs and size limits of a connection before there is a request (slowloris), and refusals.

Uvicorn waits for a request's head for as long as the client likes, and httptools takes a head of
any length.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.errors import HeadTooLargeError, TooSlowError, status_of
from app.http.http1 import Http1Protocol
from app.http.problems import PROBLEM_TYPE, problem_details
from app.http.request_head import MAX_HEAD_BYTES
from app.http.security_headers import POLICY
from app.logging import write
from app.metrics import OTHER_ROUTE, Metrics
from solo.errors import SoloError

_logger = logging.getLogger("app.requests")


class Connection(Http1Protocol):
    """A connection with a time-out and a size limit for headers; `bounded` sets what it needs.

    A body is the request's own affair (`app.http.body_limits`), and so is the wait for its answer.
    """

    _seconds: ClassVar[float]
    _metrics: ClassVar[Metrics]
    _policies: ClassVar[Mapping[str, bytes]]

    _timer: asyncio.TimerHandle | None = None
    _in_head = False
    _overhead_bytes = 0  # received since the last part of a body or the last whole head

    @classmethod
    def bounded(
        cls, seconds: float, metrics: Metrics, policies: Mapping[str, str]
    ) -> type[Connection]:
        """The class for a server, which makes an instance for each connection.

        Args:
            seconds: from the connection, or the first byte after an answer, to a whole head.
            metrics: told of every refusal.
            policies: content security policies in place of the server's own, by path.
        """
        encoded = {path: policy.encode() for path, policy in policies.items()}
        fields = {"_seconds": seconds, "_metrics": metrics, "_policies": encoded}
        return type(cls.__name__, (cls,), fields)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Starts the header time-out."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stops the header time-out."""
        self._stop_timer()
        super().connection_lost(exc)

    def parse(self, data: memoryview) -> None:
        """Feeds the parser; most headers are whole with their first bytes, and so need no timer."""
        self._overhead_bytes += len(data)
        super().parse(data)
        if self.transport.is_closing():
            return
        if self._overhead_bytes > MAX_HEAD_BYTES:
            self.refuse(
                HeadTooLargeError(f"the request has more than {MAX_HEAD_BYTES:,} bytes of headers")
            )
        elif self._timer is None and not self._answering:
            self._expect_head()

    def on_message_begin(self) -> None:
        """Notes the first byte of the headers."""
        self._in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Passes trailers over, which come after a body."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Stops the header time-out: the headers are whole."""
        self._in_head = False
        self._overhead_bytes = 0
        self._stop_timer()
        super().on_headers_complete()
        policy = self._policies.get(self.scope.get("path", ""))  # no path: the head comes again
        if policy is not None:  # of two headers both would hold
            self.cycle.default_headers = [
                (name, policy if name == POLICY else value)
                for name, value in self.cycle.default_headers
            ]

    def on_body(self, body: bytes) -> None:
        """Passes a part of the body on."""
        self._overhead_bytes = 0
        super().on_body(body)

    def refuse(self, error: SoloError) -> None:
        """Answers without the application, and closes.

        A client that is owed the answer to an earlier request gets none of a later one.
        """
        if not self._answering or (self.cycle.more_body and not self.cycle.response_started):
            self._write(error)
        self.transport.close()

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _expect_head(self) -> None:
        self._timer = self.loop.call_later(self._seconds, self._time_is_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_up(self) -> None:
        self._timer = None
        if self._in_head:
            self.refuse(TooSlowError(f"the headers were not complete within {self._seconds:g} s"))
        else:  # nothing was asked, and so there is nothing to answer
            self.transport.close()

    def _write(self, error: SoloError) -> None:
        request_id, status = f"{random.getrandbits(128):032x}", status_of(error)
        body = problem_details(error, request_id).model_dump_json().encode()
        headers = [
            *self.server_state.default_headers,
            (b"content-type", PROBLEM_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
            (b"x-request-id", request_id.encode()),
        ]
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + body)
        self._metrics.rejected[error.kind].inc()
        self._metrics.requests.labels(OTHER_ROUTE, str(status)).inc()
        write(_logger, "refused", request_id=request_id, status=status, error=error.kind)
