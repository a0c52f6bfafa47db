"""What clients can ask."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any, Final

from fastapi import APIRouter
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.frames import FrameChoice, segment_frames
from app.http.disconnect import unless_client_leaves
from app.http.negotiation import PICTURES, PNG, Form, check_one_picture, chosen_form
from app.http.parameters import PARAMETERS, read_deadline_seconds, read_headers, read_query
from app.http.problems import PROBLEM_TYPE, problem_response
from app.http.request_state import RequestRecord, record_of
from app.http.upload import FILE_TYPES, MULTIPART, Upload, read_upload
from app.responses import picture, rewritten
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
from app.service import Service, service_of
from solo.errors import ClientGoneError, ServiceError, error_classes
from solo.segmenter import Attempt, Order, one_model

router = APIRouter()

SEGMENT: Final = "/segment"

_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_FORM: Final = {
    "schema": {
        "type": "object",
        "required": ["files"],
        "properties": {"files": {"type": "array", "minItems": 1, "items": _BINARY["schema"]}},
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


_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {PNG: _BINARY}}, **_PROBLEMS}


@router.post(SEGMENT, response_model=SegmentAnswer, responses=_ANSWERS, openapi_extra=_OPERATION)
async def segment(request: Request) -> Response:
    """Finds and outlines every object in one or many radiographs.

    Send a DICOM, PNG, JPEG or TIFF file as the body, or several as `multipart/form-data`; form
    fields that are not files are passed over. What a file is, its bytes decide. Where there are
    several images, in a form or by `frame`, a bad one gets an `error` in its place and the others
    are answered; if none can be, the status is that of the first error. `format` has other forms
    of the answer, pictures among them; a picture of the film shows whatever is burned into it.
    """
    # As FastAPI's dependencies these would be called in another thread each.
    service, record = service_of(request), record_of(request)
    query, headers = read_query(request), read_headers(request)
    form = chosen_form(query.format, headers.get("accept", "*/*"))
    seconds = read_deadline_seconds(headers, service.settings.deadline_seconds)
    with service.lifecycle.admission(), service.intake.arrival() as arrival:
        service.batcher.admission.check(query.lane, seconds)
        started = perf_counter()
        upload = await read_upload(request, headers, arrival)
        service.metrics.observe_stage("receive", perf_counter() - started)
        check_one_picture(form, len(upload.files), one_frame=FrameChoice.of(query).is_one)
        deadline = asyncio.get_running_loop().time() + seconds
        order = Order(query, form == "overlay", service.batcher.model, deadline)
        attempts = await unless_client_leaves(request, _segment_all(service, upload, order))
        record.images.extend(map(_facts, attempts))
        if form == "rle":  # written in less time than a turn in the pool takes
            return _respond(service, record, upload, attempts, form)
        return await asyncio.get_running_loop().run_in_executor(
            service.pool, _respond, service, record, upload, attempts, form
        )


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
    {SEGMENT, "/healthz/live", "/healthz/ready", "/model", "/metrics", "/docs", "/openapi.json"}
)


async def _segment_all(service: Service, upload: Upload, order: Order) -> list[Attempt]:
    segmenter = service.segmenter
    if len(upload.files) == 1:  # spares a task
        return one_model(await segment_frames(segmenter, 0, upload.files[0], order))
    attempts = await asyncio.gather(
        *(segment_frames(segmenter, index, file, order) for index, file in enumerate(upload.files))
    )
    return one_model([attempt for frames in attempts for attempt in frames])


def _respond(
    service: Service,
    record: RequestRecord,
    upload: Upload,
    attempts: list[Attempt],
    form: Form,
) -> Response:
    errors = [attempt.result for attempt in attempts if isinstance(attempt.result, ServiceError)]
    alone = len(attempts) == 1 and not upload.in_parts
    if errors and (alone or form in PICTURES):
        raise errors[0]
    for error in errors:
        service.metrics.count_rejected(error.kind)
    images = [_image(attempt, record, form) for attempt in attempts]
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
    if form in PICTURES:
        return Response(_picture(attempts[0], identity, record.request_id), media_type=PNG)
    answer = SegmentAnswer(request_id=record.request_id, model=identity, images=images)
    return Response(answer.model_dump_json(), media_type="application/json")


def _picture(attempt: Attempt, model: ModelIdentity, request_id: str) -> bytes:
    if isinstance(attempt.result, ServiceError):
        raise attempt.result
    return picture(attempt.result, attempt.pixels, model, request_id)


def _image(attempt: Attempt, record: RequestRecord, form: Form) -> ImageAnswer | ImageFailure:
    if isinstance(attempt.result, ImageAnswer):
        return rewritten(attempt.result, form)
    return ImageFailure(
        index=attempt.index,
        sha256=attempt.file.sha256,
        frame=attempt.frame,
        error=ProblemDetails.of(attempt.result, record.request_id),
    )


def _facts(attempt: Attempt) -> dict[str, object]:
    """What the log may know of an image."""
    if isinstance(attempt.result, ServiceError) or attempt.film is None:
        kind = attempt.result.kind if isinstance(attempt.result, ServiceError) else None
        return {"error": kind}
    result, film = attempt.result, attempt.film
    return {
        "kind": film.kind,
        "encoding": film.encoding,
        "height": result.height,
        "width": result.width,
        "frame": result.frame,
        "grey": result.grey,
        "instances": len(result.instances),
        **{name: round(value, 6) for name, value in result.timings.model_dump().items()},
    }
