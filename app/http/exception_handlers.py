"""Exception handlers: unknown paths and methods become problems."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.http.problems import problem_type
from app.http.request_state import state_of
from app.schemas import ProblemDetails


def add_handlers(app: FastAPI) -> None:
    """Registers the handlers."""

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> Response:
        """Unknown paths and methods, whose texts are the status's own: a path may be a name."""
        status = HTTPStatus(error.status_code)
        kind = status.phrase.lower().replace(" ", "-")
        record = state_of(request)
        record.error = kind
        details = ProblemDetails(
            type=problem_type(kind),
            title=status.phrase,
            status=status,
            detail=status.description or status.phrase,
            request_id=record.request_id,
        )
        return Response(
            details.model_dump_json(), status, error.headers, "application/problem+json"
        )
