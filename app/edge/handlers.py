"""Turns every exception that leaves a route into a problem."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from app.edge.parameters import describe_faults
from app.edge.problems import problem_response
from app.edge.record import record_of
from app.errors import ClientGoneError, InvalidParameterError, ServiceError, problem_type
from app.metrics import Metrics
from app.schemas import ProblemDetails


def add_handlers(app: FastAPI, metrics: Metrics) -> None:
    """Registers the handlers.

    Args:
        app: the application.
        metrics: told of every request without an answer.
    """

    def answer(request: Request, error: ServiceError) -> Response:
        record = record_of(request)
        record.error, record.hangs_up = error.kind, error.hangs_up
        metrics.count_rejected(error.kind)
        return problem_response(error, record.request_id)

    @app.exception_handler(ServiceError)
    async def on_service_error(request: Request, error: ServiceError) -> Response:
        return answer(request, error)

    @app.exception_handler(ClientDisconnect)
    async def on_disconnect(request: Request, _: ClientDisconnect) -> Response:
        return answer(request, ClientGoneError("the client left before its request was complete"))

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        return answer(request, InvalidParameterError(describe_faults(error.errors())))

    @app.exception_handler(HTTPException)
    async def on_http_error(request: Request, error: HTTPException) -> Response:
        """Unknown paths and methods, whose texts are the status's own: a path may be a name."""
        status = HTTPStatus(error.status_code)
        kind = status.phrase.lower().replace(" ", "-")
        record = record_of(request)
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
