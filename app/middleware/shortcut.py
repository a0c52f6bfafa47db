"""Routing shortcut: past the framework, for the one operation that is asked for day and night.

FastAPI describes it and checks nothing of it. Between FastAPI's first middleware and a function lie
some two hundred calls, for dependencies and forms that it does not have: a fifth of what a request
costs the event loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import ClientGoneError, HttpError
from app.http.problems import problem_response
from app.http.request_state import state_of
from app.metrics import Metrics
from solo.errors import SoloError


class ShortcutMiddleware:
    """Leads POST requests for a path to its function; all others go on as usual.

    Args:
        app: the application within.
        path: of the operation.
        endpoint: answers, or raises a `SoloError`.
        metrics: told of every request without an answer.
    """

    def __init__(
        self,
        app: ASGIApp,
        path: str,
        endpoint: Callable[[Request], Awaitable[Response]],
        metrics: Metrics,
    ) -> None:
        self._app = app
        self._path = path
        self._endpoint = endpoint
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http" or (scope["path"], scope["method"]) != (self._path, "POST"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive, send)
        try:
            response = await self._endpoint(request)
        except SoloError as error:
            response = self._problem(request, error)
        except ClientDisconnect:
            gone = ClientGoneError("the client left before its request was complete")
            response = self._problem(request, gone)
        await response(scope, receive, send)

    def _problem(self, request: Request, error: SoloError) -> Response:
        record = state_of(request)
        record.error = error.kind
        record.hangs_up = isinstance(error, HttpError) and error.hangs_up
        self._metrics.count_rejected(error.kind)
        return problem_response(error, record.request_id)
