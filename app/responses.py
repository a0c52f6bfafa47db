"""Responses: attempts as JSON or as a picture."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from app.attempts import Attempt
from app.http.negotiation import PICTURES, PNG
from app.http.problems import problem_details, problem_response
from app.http.request_state import RequestState
from app.http.upload import Upload
from app.schemas import (
    FailedRequest,
    ImageAnswer,
    ImageFailure,
    Instance,
    ModelIdentity,
    Polygons,
    ResponseFormat,
    SegmentAnswer,
    Segmentation,
    Spacing,
    Timings,
    UncompressedSegmentation,
)
from solo import result as library
from solo.errors import SoloError
from solo.formats.pictures import describe, encode_png, label_map, overlay
from solo.result import Result

_JSON: Final = "application/json"


def respond(
    attempts: list[Attempt], upload: Upload, state: RequestState, form: ResponseFormat
) -> Response:
    """The response to a request whose images have all been tried.

    Args:
        attempts: one for each file and frame, in order.
        upload: what was sent.
        state: of the request; learns of an error.
        form: the format to answer in.

    Raises:
        SoloError: that of a file that was sent alone, or of a picture.
    """
    errors = [attempt.result for attempt in attempts if isinstance(attempt.result, SoloError)]
    alone = len(attempts) == 1 and not upload.in_parts
    if errors and (alone or form in PICTURES):
        raise errors[0]
    if len(errors) == len(attempts):
        state.error = errors[0].kind
        failures = [_failure(attempt, attempt.result, state.request_id) for attempt in attempts
                    if isinstance(attempt.result, SoloError)]  # fmt: skip
        details = problem_details(errors[0], state.request_id).model_dump()
        body = FailedRequest(**details, images=failures)
        return problem_response(errors[0], state.request_id, body)
    results = [attempt.result for attempt in attempts if isinstance(attempt.result, Result)]
    if form in PICTURES:
        return Response(picture(results[0], form, state.request_id), media_type=PNG)
    images = [
        _failure(attempt, attempt.result, state.request_id)
        if isinstance(attempt.result, SoloError)
        else image_answer(attempt.index, attempt.result, form)
        for attempt in attempts
    ]
    answer = SegmentAnswer(request_id=state.request_id, model=_identity(results[0]), images=images)
    return Response(answer.model_dump_json(), media_type=_JSON)


def image_answer(index: int, result: Result, form: ResponseFormat) -> ImageAnswer:
    """A result as JSON has it.

    Args:
        index: the file's place in the request.
        result: of the segmenter.
        form: how masks are written.
    """
    info, timings = result.radiograph, result.timings
    spacing = info.pixel_spacing
    return ImageAnswer(
        index=index,
        sha256=result.sha256,
        height=info.height,
        width=info.width,
        frame=info.frame,
        grey=info.grey,
        pixel_spacing=None
        if spacing is None
        else Spacing(row_mm=spacing.row_mm, column_mm=spacing.column_mm, source=spacing.source),
        instances=[
            Instance(
                label=instance.label,
                category_id=instance.category_id,
                score=instance.score,
                bbox=instance.bbox,
                area=instance.area,
                segmentation=_segmentation(instance, form),
            )
            for instance in result.instances
        ],
        timings=Timings(
            decode_seconds=timings.decode_seconds,
            queue_seconds=timings.queue_seconds,
            inference_seconds=timings.inference_seconds,
            postprocess_seconds=timings.postprocess_seconds,
        ),
    )


def picture(result: Result, form: ResponseFormat, request_id: str) -> bytes:
    """A result as a PNG file that names the model and the request, and nothing of the file's text.

    Args:
        result: of the segmenter, with the radiograph's pixels for an overlay.
        form: `overlay` or `label-map`.
        request_id: named in the file.
    """
    about = describe(result, request_id=request_id)
    if form == "overlay" and result.pixels is not None:
        return encode_png(overlay(result.pixels, result), about)
    return encode_png(label_map(result), about)


def _identity(result: Result) -> ModelIdentity:
    model = result.model
    return ModelIdentity(
        name=model.name, version=model.version, sha256=model.sha256, provider=model.provider
    )


def _failure(attempt: Attempt, error: SoloError, request_id: str) -> ImageFailure:
    return ImageFailure(
        index=attempt.index,
        sha256=attempt.file.sha256,
        frame=attempt.frame,
        error=problem_details(error, request_id),
    )


def _segmentation(
    instance: library.Instance, form: ResponseFormat
) -> Segmentation | UncompressedSegmentation | Polygons:
    runs = instance.runs
    match form:
        case "polygons":
            return instance.polygons()
        case "uncompressed-rle":
            return UncompressedSegmentation(size=runs.size, counts=runs.counts.tolist())
        case _:
            return Segmentation(size=runs.size, counts=runs.compressed())
