"""Errors as `application/problem+json` (RFC 9457)."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from app.schemas import ProblemDetails
from solo.errors import ServiceError

PROBLEM_TYPE: Final = "application/problem+json"


def problem_response(
    error: ServiceError, request_id: str, details: ProblemDetails | None = None
) -> Response:
    """An error as a response, with the headers that the error asks for.

    Args:
        error: says status and headers.
        request_id: for the body.
        details: a body with more in it, or None for the plain one.
    """
    body = details or ProblemDetails.of(error, request_id)
    headers = {}
    if error.retry_after_seconds is not None:
        headers["retry-after"] = str(error.retry_after_seconds)
    if error.challenge is not None:
        headers["www-authenticate"] = error.challenge
    if error.hangs_up:
        headers["connection"] = "close"
    return Response(body.model_dump_json(), error.status, headers, PROBLEM_TYPE)
