"""What clients can ask."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from time import perf_counter
from typing import Any, Final, TypeVar

from fastapi import APIRouter
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.errors import ClientGoneError, ServiceError, error_classes
from app.parameters import PARAMETERS, read_deadline_seconds, read_query
from app.problems import PROBLEM_TYPE, problem_response
from app.record import RequestRecord, record_of
from app.schemas import (
    FailedRequest,
    Health,
    ImageAnswer,
    ImageFailure,
    ModelDescription,
    ModelIdentity,
    ProblemDetails,
    SegmentAnswer,
)
from app.segmenting import Attempt, Order, one_model
from app.service import Service, service_of
from app.upload import FILE_TYPES, MULTIPART, Upload, read_upload

T = TypeVar("T")

router = APIRouter()

_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_FORM: Final = {
    "schema": {
        "type": "object",
        "properties": {"files": {"type": "array", "items": _BINARY["schema"]}},
    }
}
_OPERATION: Final[dict[str, Any]] = {
    "parameters": PARAMETERS,
    "requestBody": {
        "required": True,
        "description": "One file as it is, or one or many files as a form under any field name.",
        "content": {**dict.fromkeys(FILE_TYPES, _BINARY), MULTIPART: _FORM},
    },
}
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    error.status: {
        "description": error.title,
        "content": {PROBLEM_TYPE: {"schema": ProblemDetails.model_json_schema()}},
    }
    for error in reversed(error_classes())
    if error is not ClientGoneError
}


@router.post(
    "/segment", response_model=SegmentAnswer, responses=_PROBLEMS, openapi_extra=_OPERATION
)
async def segment(request: Request) -> Response:
    """Finds and outlines every object in one or many radiographs.

    Send a DICOM, PNG or JPEG file as the body, or several as `multipart/form-data`; form fields
    that are not files are passed over. What a file is, its bytes decide. In a form a bad file gets
    an `error` in its place and the others are answered; if none can be, the status is that of the
    first error.
    """
    # As FastAPI's dependencies these would be called in another thread each.
    service, record = service_of(request), record_of(request)
    query = read_query(request)
    seconds = read_deadline_seconds(request, service.settings.deadline_seconds)
    with service.lifecycle.admission():
        service.batcher.admission.check(query.lane, seconds)
        started = perf_counter()
        upload = await read_upload(request, service.settings.max_body_bytes)
        service.metrics.observe_stage("receive", perf_counter() - started)
        deadline = asyncio.get_running_loop().time() + seconds
        order = Order(query, service.batcher.model, deadline)
        attempts = await _unless_client_leaves(request, _segment_all(service, upload, order))
        record.images.extend(map(_facts, attempts))
        return _respond(service, record, upload, attempts)


@router.get("/healthz/live", response_model=Health)
async def live() -> Response:
    """Whether the process runs."""
    return JSONResponse({"status": "alive"})


@router.get("/healthz/ready", response_model=Health, responses={503: {"model": Health}})
async def ready(request: Request) -> Response:
    """Whether a request sent now would be answered: warm, not stopping, and the model answers."""
    service = service_of(request)
    lifecycle = service.lifecycle
    if lifecycle.ready:
        return JSONResponse({"status": "ready", "provider": service.engine.provider})
    return JSONResponse({"status": lifecycle.why_not_ready}, 503, {"retry-after": "5"})


@router.get("/model", response_model=ModelDescription)
async def model(request: Request) -> Response:
    """The model's manifest: classes, canvas, thresholds, training data, licence, quality."""
    engine = service_of(request).engine
    body = ModelDescription(
        **engine.manifest.model_dump(), sha256=engine.sha256, provider=engine.provider
    )
    return Response(body.model_dump_json(), media_type="application/json")


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Metrics for Prometheus."""
    service = service_of(request)
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(service.metrics.registry), headers={"content-type": media_type})


PATHS: Final = frozenset(
    {"/segment", "/healthz/live", "/healthz/ready", "/model", "/metrics", "/docs", "/openapi.json"}
)


async def _segment_all(service: Service, upload: Upload, order: Order) -> list[Attempt]:
    segment = service.segmenter.segment
    if len(upload.files) == 1:  # spares a task
        return [await segment(0, upload.files[0], order)]
    attempts = await asyncio.gather(
        *(segment(index, file, order) for index, file in enumerate(upload.files))
    )
    return one_model(attempts)


async def _unless_client_leaves(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """Cancels the work when nobody is left to answer, so that it takes no place in a batch."""
    task = asyncio.create_task(work)
    departure = asyncio.create_task(_departure(request))
    departure.add_done_callback(lambda _: task.cancel())
    try:
        return await task
    except asyncio.CancelledError:
        if departure.done() and not departure.cancelled():
            raise ClientGoneError("the client left before its answer was ready") from None
        raise
    finally:
        departure.cancel()


async def _departure(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _respond(
    service: Service, record: RequestRecord, upload: Upload, attempts: list[Attempt]
) -> Response:
    errors = [attempt.result for attempt in attempts if isinstance(attempt.result, ServiceError)]
    if errors and not upload.in_parts:
        raise errors[0]
    for error in errors:
        service.metrics.count_rejected(error.kind)
    images = [_image(index, attempt, record) for index, attempt in enumerate(attempts)]
    if len(errors) == len(attempts):
        record.error = errors[0].kind
        details = FailedRequest(
            **ProblemDetails.of(errors[0], record.request_id).model_dump(),
            images=[image for image in images if isinstance(image, ImageFailure)],
        )
        return problem_response(errors[0], record.request_id, details)
    engine = next(attempt.model for attempt in attempts if attempt.model is not None).engine
    identity = ModelIdentity(
        name=engine.manifest.name,
        version=engine.manifest.version,
        sha256=engine.sha256,
        provider=engine.provider,
    )
    answer = SegmentAnswer(request_id=record.request_id, model=identity, images=images)
    return Response(answer.model_dump_json(), media_type="application/json")


def _image(index: int, attempt: Attempt, record: RequestRecord) -> ImageAnswer | ImageFailure:
    if isinstance(attempt.result, ImageAnswer):
        return attempt.result
    details = ProblemDetails.of(attempt.result, record.request_id)
    return ImageFailure(index=index, sha256=attempt.file.sha256, error=details)


def _facts(attempt: Attempt) -> dict[str, object]:
    """What the log may know of an image."""
    if isinstance(attempt.result, ServiceError) or attempt.radiograph is None:
        kind = attempt.result.kind if isinstance(attempt.result, ServiceError) else None
        return {"error": kind}
    result, radiograph = attempt.result, attempt.radiograph
    return {
        "kind": radiograph.kind,
        "encoding": radiograph.encoding,
        "height": result.height,
        "width": result.width,
        "frame": result.frame,
        "grey": result.grey,
        "instances": len(result.instances),
        **{name: round(value, 6) for name, value in result.timings.model_dump().items()},
    }
