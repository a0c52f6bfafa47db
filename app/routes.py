"""Routes of the service: FastAPI describes them, Starlette alone serves them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, nullcontext
from functools import partial
from time import perf_counter
from typing import Final

from fastapi import APIRouter
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.attempts import attempt_all
from app.http.dicom_request import dicom_request
from app.http.disconnect import cancel_on_disconnect
from app.http.form_data import FormDataResponse
from app.http.media_types import UploadedFile
from app.http.pages import DESCRIPTION, INTERFACE
from app.http.parameters import (
    PNG,
    FrameRange,
    check_one_picture,
    negotiate_format,
    read_deadline_seconds,
    read_headers,
    read_query,
    read_query_as,
)
from app.http.request_state import client_of, state_of
from app.http.upload import read_annotated_film, read_upload
from app.openapi import DICOM_ANSWERS, DICOM_OPERATION, SEGMENT_ANSWERS, SEGMENT_OPERATION
from app.rendering import complete
from app.responses import film_parts, is_brief, render, render_dicom, respond
from app.schemas import DicomQuery, Health, ModelDescription, SegmentAnswer
from app.service import service_of
from solo.errors import EmptyError, SoloError
from solo.options import Options
from solo.result import Result

router = APIRouter()

SEGMENT: Final = "/segment"
ANNOTATED: Final = "/dicom"


@router.post(
    SEGMENT,
    response_model=SegmentAnswer,
    responses=SEGMENT_ANSWERS,
    openapi_extra=SEGMENT_OPERATION,
)
async def segment(request: Request) -> Response:
    """Finds and outlines every object in one or many radiographs.

    Send a DICOM, PNG, JPEG or TIFF file as the body, or several as `multipart/form-data`; form
    fields that are not files are passed over, whatever their media type. What a file is, its bytes
    decide, under any media type and any name. Where there are several images, in a form or by
    `frame`, a bad one gets an `error` in its place and the others are answered; if none can be, the
    status is that of the first error. `format` has other forms of the answer, pictures among them.
    `Accept: application/dicom` has DICOM objects, which repeat the patient and the study of their
    film, as DICOM demands; where there can be none, a problem says why. A picture of the film shows
    whatever is burned into it, and so do its `pixels`.
    """
    service, state, client = service_of(request), state_of(request), client_of(request)
    query, headers = read_query(request), read_headers(request)
    accept = ",".join(request.headers.getlist("accept"))
    form = negotiate_format(query.format, accept, query.kinds)
    dicom = dicom_request(query, accept) if form == "dicom" else None
    seconds = read_deadline_seconds(headers, service.settings.deadline_seconds)
    cells = query.pixels == "cells"
    async with AsyncExitStack() as kept:  # with cells, until the answer is sent
        kept.enter_context(service.lifecycle.admission())
        with service.body_limits.incoming(client) as body:
            service.segmenter.admission.check(query.lane, seconds, client)
            started = perf_counter()
            upload = await read_upload(request, headers, body)
            service.metrics.stages["receive"].observe(perf_counter() - started)
            if not upload.in_parts and not upload.files[0].length:
                raise EmptyError(
                    "the request has no body: send a file as it is, as in "
                    "`curl --data-binary @FILE`, or several as a form, as in `curl -F files=@FILE`"
                )
            frames = FrameRange.parse(query.frame)
            check_one_picture(form, len(upload.files), one_frame=frames.is_one, cells=cells)
            deadline = asyncio.get_running_loop().time() + seconds
            model = service.segmenter.model  # the one of now, for all images
            drawn = form == "overlay" or (dicom is not None and "sc" in dicom.kinds)
            segment_frame = partial(
                service.segmenter.segment,
                options=Options(query.score_threshold, query.max_instances, query.max_overlap),
                deadline=deadline,
                lane=query.lane,
                client=client,
                model=model,
                wants_pixels="cells" if cells else "grey" if drawn else "none",
                wants_header=dicom is not None,
            )
            rendered: dict[Result, bytes] = {}

            async def segment_and_render(file: UploadedFile, *, frame: int) -> Result:
                turn = (deadline, query.lane, client)
                large = cells or drawn
                async with service.renderer.film(*turn) if large else nullcontext():
                    result = await segment_frame(file, frame=frame)
                    if dicom is None:
                        steps = render(result, form, state.request_id)
                    else:
                        steps = render_dicom(result, model.engine.manifest, dicom)
                    if is_brief(result, form):
                        rendered[result] = complete(steps)
                    else:
                        rendered[result] = await service.renderer.run(steps, *turn)
                return result

            work = attempt_all(
                upload.files,
                frames,
                segment_and_render,
                service.tracing,
                at_once=min(service.segmenter.ahead, service.segmenter.admission.share(query.lane)),
                deadline=deadline,
                charge=state.charge,
            )
            attempts = await cancel_on_disconnect(request, work)
            state.images.extend(attempt.facts for attempt in attempts)
            answer = respond(
                attempts,
                rendered,
                state,
                form,
                in_parts=upload.in_parts,
                media_type=PNG if dicom is None else dicom.media_type,
            )
        result = attempts[0].result
        if isinstance(result, SoloError) or result.stored_pixels is None:
            return answer
        parts = film_parts(answer, result.stored_pixels, result.radiograph.frames)
        return FormDataResponse(parts, service.answer_limits, client, kept)


@router.post(
    ANNOTATED, response_class=Response, responses=DICOM_ANSWERS, openapi_extra=DICOM_OPERATION
)
async def annotated_film(request: Request) -> Response:
    """Makes DICOM objects of a film and of what somebody has drawn or corrected in it.

    Send the DICOM file and a COCO document of it as `multipart/form-data`. The objects repeat the
    patient and the study of their film, as DICOM demands, and say of each segment whether the model
    found it, somebody corrected it or drew it. Other annotations make other objects, by their UIDs
    too; the same ones make the same.
    """
    service, state, client = service_of(request), state_of(request), client_of(request)
    query, headers = read_query_as(DicomQuery, request), read_headers(request)
    asked = dicom_request(query, ",".join(request.headers.getlist("accept")))
    seconds = read_deadline_seconds(headers, service.settings.deadline_seconds)
    with service.lifecycle.admission(), service.body_limits.incoming(client) as body:
        service.segmenter.admission.check(query.lane, seconds, client)
        started = perf_counter()
        film, annotations = await read_annotated_film(request, headers, body)
        service.metrics.stages["receive"].observe(perf_counter() - started)
        deadline = asyncio.get_running_loop().time() + seconds
        turn = (deadline, query.lane, client)
        drawn = "sc" in asked.kinds
        rendered: dict[Result, bytes] = {}

        async def read_and_render(file: UploadedFile, *, frame: int) -> Result:
            manifest = service.segmenter.manifest
            async with service.renderer.film(*turn) if drawn else nullcontext():
                result = await service.segmenter.annotated(
                    file,
                    annotations,
                    frame=frame,
                    deadline=deadline,
                    lane=query.lane,
                    client=client,
                    wants_pixels="grey" if drawn else "none",
                    wants_header=True,
                )
                steps = render_dicom(result, manifest, asked)
                rendered[result] = await service.renderer.run(steps, *turn)
            return result

        frames = FrameRange.parse(query.frame)
        work = attempt_all([film], frames, read_and_render, service.tracing, at_once=1)
        attempts = await cancel_on_disconnect(request, work)
        state.images.extend(attempt.facts for attempt in attempts)
        return respond(
            attempts, rendered, state, "dicom", in_parts=True, media_type=asked.media_type
        )


@router.get("/healthz/live", response_model=Health)
async def live(_: Request) -> Response:
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


FILM_PATHS: Final = frozenset({SEGMENT, ANNOTATED})
PATHS: Final = FILM_PATHS | frozenset(
    {"/", "/healthz/live", "/healthz/ready", "/model", "/metrics", INTERFACE, DESCRIPTION}
)
