"""Errors as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from app.errors import HttpError
from app.schemas import ProblemDetails
from app.statuses import status_of
from solo.errors import SoloError

PROBLEM_TYPE: Final = "application/problem+json"


def problem_type(kind: str) -> str:
    """The stable URN of a kind of problem (RFC 9457 section 3.1.1)."""
    return f"urn:solo-xray:problem:{kind}"


def problem_details(error: SoloError, request_id: str) -> ProblemDetails:
    """The body that describes an error."""
    return ProblemDetails(
        type=problem_type(error.kind),
        title=error.title,
        status=status_of(error),
        detail=error.detail,
        request_id=request_id,
    )


def problem_response(
    error: SoloError, request_id: str, details: ProblemDetails | None = None
) -> Response:
    """An error as a response, with the headers that the error asks for.

    Args:
        error: says status and headers.
        request_id: for the body.
        details: a body with more in it, or None for the plain one.
    """
    body = details or problem_details(error, request_id)
    headers = {}
    if error.retry_after_seconds is not None:
        headers["retry-after"] = str(error.retry_after_seconds)
    if isinstance(error, HttpError):
        if error.challenge is not None:
            headers["www-authenticate"] = error.challenge
        if error.hangs_up:
            headers["connection"] = "close"
    return Response(body.model_dump_json(), status_of(error), headers, PROBLEM_TYPE)
