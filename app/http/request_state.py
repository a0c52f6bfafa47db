"""Request state: what is known of a request while it is handled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request

RECORD: Final = "record"


@dataclass
class RequestState:
    """State of a request; handlers add to it, the log line is made of it.

    Attributes:
        request_id: the client's own if it is harmless, else a new one.
        route: the path if it is one of the service's, else `other`.
        status: of the answer; 0 until there is one.
        error: kind of the problem, or None.
        hangs_up: whether the answer does not wait for the rest of the request.
        key: name of the key that was shown, or None.
        charge: counts images beyond the first against the key's rate.
        received_bytes: of the body.
        images: facts on each image, none of them on the patient.
    """

    request_id: str
    route: str
    status: int = 0
    error: str | None = None
    hangs_up: bool = False
    key: str | None = None
    charge: Callable[[int], None] = lambda _: None
    received_bytes: int = 0
    images: list[dict[str, object]] = field(default_factory=list)


def state_of(request: Request) -> RequestState:
    """The state of a request."""
    record: RequestState = request.scope["state"][RECORD]
    return record


def client_of(request: Request) -> str:
    """Who asks, so that clients are told apart: the key's name, or else the address.

    It is for counting in memory alone: no address is logged, nor in a metric or an answer.
    """
    peer = request.scope.get("client")
    return state_of(request).key or (peer[0] if peer else "local")
