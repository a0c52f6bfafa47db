"""Errors as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.errors import HttpError, status_of
from app.http.request_state import RequestState, state_of
from app.schemas import ProblemDetails
from solo.errors import SoloError

PROBLEM_TYPE: Final = "application/problem+json"

_WHAT_TO_SEND: Final = (
    "send a film with POST to /segment, as in `curl --data-binary @FILE`; /docs describes it all"
)
_READ_ONLY: Final = f"this path takes GET and HEAD alone: {_WHAT_TO_SEND}"


def problem_details(error: SoloError, request_id: str) -> ProblemDetails:
    """The body that describes an error."""
    return _details(error.kind, error.title, status_of(error), error.detail, request_id)


def problem_response(
    error: SoloError, state: RequestState, details: ProblemDetails | None = None
) -> Response:
    """An error as a response, with the headers that the error asks for.

    Args:
        error: says status and headers.
        state: of the request; learns of the error.
        details: a body with more in it, or None for the plain one.
    """
    state.error = error.kind
    body = details or problem_details(error, state.request_id)
    headers = {}
    if error.retry_after_seconds is not None:
        headers["retry-after"] = str(error.retry_after_seconds)
    if isinstance(error, HttpError):
        state.hangs_up = error.hangs_up
        if error.challenge is not None:
            headers["www-authenticate"] = error.challenge
        if error.hangs_up:
            headers["connection"] = "close"
    return Response(body.model_dump_json(), body.status, headers, PROBLEM_TYPE)


async def on_error(request: Request, error: Exception) -> Response:
    """The response to an error that a route raised: the handler of `SoloError`."""
    if not isinstance(error, SoloError):
        raise error
    return problem_response(error, state_of(request))


async def on_http_error(request: Request, error: Exception) -> Response:
    """Unknown paths and methods, and what to ask instead; a path may be a name, and is not said."""
    if not isinstance(error, HTTPException):
        raise error
    status, state = HTTPStatus(error.status_code), state_of(request)
    state.error = status.phrase.lower().replace(" ", "-")
    detail = status.description or status.phrase
    if status == HTTPStatus.NOT_FOUND:
        detail = f"there is nothing at this path: {_WHAT_TO_SEND}"
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        takes_films = "POST" in (error.headers or {}).get("Allow", "")
        detail = f"this path takes POST alone: {_WHAT_TO_SEND}" if takes_films else _READ_ONLY
    body = _details(state.error, status.phrase, status, detail, state.request_id)
    headers = dict(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED:  # of a set; Starlette's static files name none
        allowed = headers.pop("Allow", "GET, HEAD").split(", ")
        headers["allow"] = ", ".join(sorted(allowed))
    return Response(body.model_dump_json(), status, headers, PROBLEM_TYPE)


def _details(kind: str, title: str, status: int, detail: str, request_id: str) -> ProblemDetails:
    # RFC 9457 section 3.1.1: a kind of problem has a stable URI.
    urn = f"urn:solo-xray:problem:{kind}"
    return ProblemDetails(
        type=urn, title=title, status=status, detail=detail, request_id=request_id
    )
