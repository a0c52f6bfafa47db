"""API keys and rate limit, before anything of a request is read."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import KeyRateError, UnauthorizedError
from app.http.problems import problem_response
from app.http.request_state import RECORD, RequestState
from app.keys import Keys
from app.middleware.rate_limit import RateLimiter
from solo.errors import SoloError

# For probes and for Prometheus, which come from the inner network; everything else is closed, what
# a later version adds included.
OPEN_PATHS: Final = frozenset({"/healthz/live", "/healthz/ready", "/metrics"})


class ApiKeyMiddleware:
    """Answers 401 without a known bearer key (RFC 6750 section 2.1), 429 to one too many.

    Args:
        app: the application within.
        keys: those that are accepted.
        rates: how often each key may ask, or None.
    """

    def __init__(self, app: ASGIApp, keys: Keys, rates: RateLimiter | None = None) -> None:
        self._app = app
        self._keys = keys
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request; its record learns whose key it had."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        record: RequestState = scope["state"][RECORD]
        error = self._refusal(Headers(scope=scope).get("authorization", ""), record)
        if error is None:
            await self._app(scope, receive, send)
            return
        await problem_response(error, record)(scope, receive, send)

    def _refusal(self, authorization: str, record: RequestState) -> SoloError | None:
        scheme, _, key = authorization.partition(" ")
        record.key = self._keys.name_of(key.strip()) if scheme.lower() == "bearer" else None
        if record.key is None:
            return UnauthorizedError(
                "this service asks for a key, as in 'Authorization: Bearer KEY'"
                if not scheme
                else "the key is not known"
            )
        try:
            if self._rates is not None:
                self._rates.count(record.key)
        except KeyRateError as error:
            return error
        return None
