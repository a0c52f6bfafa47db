"""API keys and the rate limit of each (GCRA), before anything of a request is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import HttpError, KeyRateError, UnauthorizedError
from app.http.pages import PAGES
from app.http.problems import problem_response
from app.http.request_state import RECORD, RequestState
from app.keys import KeysFile

# For probes and for Prometheus, which come from the inner network, and the pages, by which browsers
# ask for a key; everything else is closed, what a later version adds included.
OPEN_PATHS: Final = PAGES | {"/healthz/live", "/healthz/ready", "/metrics"}


class RateLimiter:
    """A rate limiter: a rate and a burst of images, the same for each key, counted apart.

    An image moves a key's account `1 / per_second` into the future, and it may lie `burst - 1`
    images ahead of the clock (the virtual scheduling of ITU-T I.371): one number a key, and no
    timer. A request is let in, and counts, by its first image, or by itself where it has none or
    is refused later. Its further images are charged as they are begun: it is answered whole, and
    the key waits until they are paid, which takes as long as they would have taken one by one.
    Nothing limits that but what the service can do before a request's deadline.

    Args:
        per_second: images that a key may send in the long run.
        burst: images that it may send at once, when it has not asked for a while.
        clock: in seconds.
    """

    def __init__(
        self, per_second: float, burst: int, clock: Callable[[], float] = monotonic
    ) -> None:
        self._per_second, self._burst = per_second, burst
        self._ahead_seconds = (burst - 1) / per_second
        self._clock = clock
        self._accounts: dict[str, float] = {}

    def count(self, key: str) -> None:
        """Counts a request by its first image; one that is refused here is not counted.

        Args:
            key: name of the key, of which there are as many as the file of keys has.

        Raises:
            KeyRateError: if it comes too early.
        """
        now = self._clock()
        account = max(self._accounts.get(key, now), now)
        early = account - now - self._ahead_seconds
        if early > 0:
            raise KeyRateError(
                f"this key may send {self._per_second:g} images a second, and {self._burst} at "
                "once, and has sent more",
                math.ceil(early),
            )
        self._accounts[key] = account + 1 / self._per_second

    def charge(self, key: str, images: int) -> None:
        """Counts further images of a request that was let in; below 0, takes them back."""
        self._accounts[key] += images / self._per_second


class ApiKeyMiddleware:
    """Answers 401 without a known bearer key (RFC 6750 section 2.1), 429 to one too many.

    Args:
        app: the application within.
        keys: those that are accepted.
        rates: how often each key may ask, or None.
    """

    def __init__(self, app: ASGIApp, keys: KeysFile, rates: RateLimiter | None = None) -> None:
        self._app = app
        self._keys = keys
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request; its record learns whose key it had."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        record: RequestState = scope["state"][RECORD]
        try:
            self._let_in(Headers(scope=scope).get("authorization", ""), record)
        except HttpError as error:
            await problem_response(error, record)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _let_in(self, authorization: str, record: RequestState) -> None:
        scheme, _, key = authorization.partition(" ")
        record.key = self._keys.name_of(key.strip()) if scheme.lower() == "bearer" else None
        if record.key is None:
            raise UnauthorizedError(
                "the key is not known"
                if scheme
                else "this service asks for a key, as in 'Authorization: Bearer KEY'"
            )
        if self._rates is not None:
            self._rates.count(record.key)
            record.charge = partial(self._rates.charge, record.key)
