"""Request id, metrics, access log, and the last resort of errors, around every request."""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import Mapping
from contextlib import suppress
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import ClientGoneError, status_of
from app.http.http1 import DISCONNECTED
from app.http.problems import problem_response
from app.http.request_state import RECORD, RequestState
from app.logging import write
from app.metrics import OTHER_ROUTE, Metrics
from solo.batching.turns import Turns
from solo.errors import DrainingError, SoloError

# How long a refusal waits for the rest of a request that nobody will read.
_REST_SECONDS = 30.0
_LONGEST_PAUSE_SECONDS = 0.01
_ACCEPTED_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_logger = logging.getLogger("app.requests")


class AccessLogMiddleware:
    """Gives each request an id, counts and logs it, and answers what nobody else caught with 500.

    Args:
        app: the application within.
        metrics: told of every request.
        routes: the paths that are told apart in metrics and logs.
        films: those of them that take films.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        routes: frozenset[str],
        films: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._routes = routes
        self._films, self._pace = films, Turns(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        app = self._app if await self._wait_for_turn(scope) else _left
        started = perf_counter()
        headers: dict[bytes, bytes] = dict(scope["headers"])
        route = scope["path"] if scope["path"] in self._routes else OTHER_ROUTE
        record = RequestState(_request_id(headers), route)
        scope.setdefault("state", {})[RECORD] = record
        body = _Body(receive, headers)
        answered: float | None = None  # a film may take long to be taken

        async def observed_receive() -> Message:
            message = await body.receive()
            record.received_bytes += len(message.get("body", b""))
            return message

        async def observed_send(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                record.status = message["status"]
                if not record.hangs_up:
                    await body.discard_rest()
                name_and_value = b"x-request-id", record.request_id.encode()
                message["headers"] = [*message.get("headers", ()), name_and_value]
                answered = perf_counter()
            await send(message)

        async def answer(error: SoloError) -> None:
            if record.status == 0:
                await problem_response(error, record)(scope, receive, observed_send)

        try:
            await app(scope, observed_receive, observed_send)
        except Exception:
            _logger.exception("a request failed unexpectedly")
            await answer(SoloError("the service failed; the request id leads to its log"))
        except asyncio.CancelledError:  # the server's time to drain is up
            body.awaited = False
            await answer(DrainingError("the service stopped before the request was answered"))
            raise
        finally:
            self._finish(record, (answered or perf_counter()) - started)

    async def _wait_for_turn(self, scope: Scope) -> bool:
        """Lets small requests begin one after the other with a pause, clients in turn.

        Thousands that come at once, on many connections, would else all run before a film goes its
        next step, of which it has some fifty. Films have admission control. Who left meanwhile has
        no turn, and no pause comes after it: those who stay would wait for thousands who do not.

        Returns:
            Whether the client is still there.
        """
        if scope["path"] in self._films:
            return True
        client = (scope.get("client") or ("",))[0]
        await self._pace.take("interactive", client)
        disconnected = scope.get("state", {}).get(DISCONNECTED)
        if disconnected is not None and disconnected.done():
            self._pace.give(client)
            return False
        asyncio.get_running_loop().call_soon(self._pause, client, perf_counter())
        return True

    def _pause(self, client: str, began: float) -> None:
        """Lets the next small request begin after a pause of twice what this one has taken."""
        seconds = min(_LONGEST_PAUSE_SECONDS, 2 * (perf_counter() - began))
        asyncio.get_running_loop().call_later(seconds, self._pace.give, client)

    def _finish(self, record: RequestState, seconds: float) -> None:
        record.status = record.status or status_of(ClientGoneError)
        self._metrics.requests.labels(record.route, str(record.status)).inc()
        if record.images:
            self._metrics.stages["total"].observe(seconds)
        errors = [image["error"] for image in record.images if "error" in image]
        for kind in errors or [record.error]:
            if kind in self._metrics.rejected:  # and not one of HTTP's own
                self._metrics.rejected[str(kind)].inc()
        write(
            _logger,
            "request",
            request_id=record.request_id,
            route=record.route,
            status=record.status,
            error=record.error,
            key=record.key,
            bytes=record.received_bytes,
            seconds=round(seconds, 6),
            images=record.images,
        )


class _Body:
    """A request's body on its way in.

    An answer that overtakes the body, a refusal, is lost where the connection is closed after it:
    the client is still sending, is reset, and never reads why. So what is left is read before the
    answer is sent, and forgotten.

    Args:
        receive: where it comes from.
        headers: of the request.

    Attributes:
        awaited: whether there is a rest that is worth waiting for. A client that asked whether it
            may send is told, and sends nothing.
    """

    def __init__(self, receive: Receive, headers: Mapping[bytes, bytes]) -> None:
        self._receive = receive
        self._asks_first = headers.get(b"expect", b"").lower() == b"100-continue"
        self.awaited = b"content-length" in headers or b"transfer-encoding" in headers

    async def receive(self) -> Message:
        """The next part of it."""
        self._asks_first = False
        message = await self._receive()
        self.awaited &= message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def discard_rest(self) -> None:
        """Reads what is left, within bounds of time."""
        if not self.awaited:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_REST_SECONDS):
                while self.awaited and not self._asks_first:
                    await self.receive()


async def _left(scope: Scope, receive: Receive, send: Send) -> None:
    error = ClientGoneError("the client left before its turn")
    await problem_response(error, scope["state"][RECORD])(scope, receive, send)


def _request_id(headers: Mapping[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    if _ACCEPTED_ID.fullmatch(given):
        return given
    return f"{random.getrandbits(128):032x}"
