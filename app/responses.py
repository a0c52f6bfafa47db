"""Responses: attempts as JSON or as a picture."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from app.attempts import Attempt
from app.http.parameters import PICTURES, PNG
from app.http.problems import problem_details, problem_response
from app.http.request_state import RequestState
from app.schemas import (
    FailedRequest,
    ImageAnswer,
    ImageFailure,
    Instance,
    Polygons,
    ResponseFormat,
    SegmentAnswer,
    Segmentation,
    UncompressedSegmentation,
)
from solo import result as library
from solo.errors import SoloError
from solo.formats.pictures import describe, encode_png, label_map, overlay
from solo.result import Result

_JSON: Final = "application/json"


def respond(
    attempts: list[Attempt], state: RequestState, form: ResponseFormat, *, in_parts: bool
) -> Response:
    """The response to a request whose images have all been tried.

    Args:
        attempts: one for each file and frame, in order.
        state: of the request; learns of an error.
        form: the format to answer in.
        in_parts: whether the files came in a form.

    Raises:
        SoloError: that of a file that was sent alone, or of a picture.
    """
    results = [attempt.result for attempt in attempts if isinstance(attempt.result, Result)]
    errors = [attempt.result for attempt in attempts if isinstance(attempt.result, SoloError)]
    alone = len(attempts) == 1 and not in_parts
    if errors and (alone or form in PICTURES):
        raise errors[0]
    if form in PICTURES:
        return Response(picture(results[0], form, state.request_id), media_type=PNG)
    images = [_image(attempt, form, state.request_id) for attempt in attempts]
    if not results:
        details = problem_details(errors[0], state.request_id).model_dump()
        failures = [image for image in images if isinstance(image, ImageFailure)]
        return problem_response(errors[0], state, FailedRequest(**details, images=failures))
    answer = SegmentAnswer(request_id=state.request_id, model=results[0].model, images=images)
    return Response(answer.model_dump_json(), media_type=_JSON)


def _image(attempt: Attempt, form: ResponseFormat, request_id: str) -> ImageAnswer | ImageFailure:
    result, index = attempt.result, attempt.index
    if isinstance(result, SoloError):
        error = problem_details(result, request_id)
        sha256 = attempt.file.sha256
        return ImageFailure(index=index, sha256=sha256, frame=attempt.frame, error=error)
    return ImageAnswer(
        index=index,
        sha256=result.sha256,
        instances=[
            Instance(
                label=one.label,
                category_id=one.category_id,
                score=one.score,
                bbox=one.bbox,
                area=one.area,
                segmentation=_segmentation(one, form),
            )
            for one in result.instances
        ],
        timings=result.timings,
        **vars(result.radiograph),  # of which the schema takes what it has
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
