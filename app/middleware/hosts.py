"""Host names that are ours, and pages that are: browsers are kept from asking for other sites.

A page whose name is made to lead to this machine (DNS rebinding) is of the service's own origin for
the browser that shows it, and could read answers; by the name in Host it is told.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import CrossSiteError, HttpError, MisdirectedError
from app.http.problems import problem_response
from app.http.request_state import RECORD

PROBES: Final = "/healthz/"
_SAFE_METHODS: Final = {"GET", "HEAD", "OPTIONS"}
_OWN_PAGES: Final = {b"same-origin", b"none"}
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:]+)(:[0-9]*)?")


class HostMiddleware:
    """Answers 421 to a request for another host (RFC 9110 section 15.5.20), 403 to another site's.

    Another site's page may show a picture or follow a link; whatever changes or computes something
    is for the service's own pages (Fetch Metadata, section 2.3) and for programs, which say nothing
    of a site. A page of the same site is another one too: of another port, say. A request without
    Host is of HTTP/1.0, which no browser speaks, and probes are asked by any name.

    Args:
        app: the application within.
        names: the operator's host names, with commas between, or None.
    """

    def __init__(self, app: ASGIApp, names: str | None = None) -> None:
        self._app = app
        own = socket.gethostname()
        given = [own, own.partition(".")[0], *(names or "").split(",")]
        self._names = {_name(name.strip().lower()) for name in given} - {""}
        self._is_ours = lru_cache(maxsize=64)(self._is_our_host)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Handles one request; is no coroutine of its own, which would cost every step of it."""
        error = self._fault(scope) if scope["type"] == "http" else None
        app = self._app if error is None else problem_response(error, scope["state"][RECORD])
        return app(scope, receive, send)

    def _fault(self, scope: Scope) -> HttpError | None:
        if scope["path"].startswith(PROBES):
            return None
        for name, value in scope["headers"]:
            if name == b"host" and not self._is_ours(value):
                return MisdirectedError(
                    "this service does not go by the host name of this request: ask by its "
                    "address, or let its operator add the name to SOLO_HOST_NAMES"
                )
            if (
                name == b"sec-fetch-site"
                and value not in _OWN_PAGES
                and scope["method"] not in _SAFE_METHODS
            ):
                return CrossSiteError(
                    "a page of another site sends this: ask from the service's own page, or from "
                    "a program"
                )
        return None

    def _is_our_host(self, value: bytes) -> bool:
        name = _name(value.decode("latin-1").strip().lower())
        if name in self._names or name == "localhost" or name.endswith(".localhost"):
            return True
        try:
            IPv6Address(name[1:-1]) if name.startswith("[") else IPv4Address(name)
        except AddressValueError:
            return False
        return True


def _name(host: str) -> str:
    """The name of a host in lower case without port and final dot; empty for what is none."""
    match = _HOST.fullmatch(host)
    return match[1].removesuffix(".") if match else ""
