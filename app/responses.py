"""Responses: each image rendered as JSON or as a picture, and the answer to a request made of them.

An image is rendered by itself, as soon as it is segmented: that is part of its deadline, and no
answer, of however many images, keeps the event loop for longer than one of them takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Final

import numpy as np
from starlette.responses import Response

from app.attempts import Attempt
from app.http.dicom_request import DICOM, DicomRequest
from app.http.form_data import Part
from app.http.media_types import SNIFFED
from app.http.parameters import PICTURES, PNG
from app.http.problems import problem_details, problem_response
from app.http.request_state import RequestState
from app.rendering import Rendering
from app.schemas import (
    AnswerFormat,
    FailedRequest,
    FilmDisplay,
    ImageAnswer,
    ImageFailure,
    Instance,
    Polygons,
    SegmentAnswer,
    Segmentation,
    UncompressedSegmentation,
)
from solo import result as library
from solo.contract.manifest import Manifest
from solo.decoding.stored_pixels import StoredPixels
from solo.errors import SoloError
from solo.formats.dicom.objects import dicom_pieces
from solo.formats.pictures import describe, encode_png, label_map, overlay
from solo.result import Result

_JSON: Final = "application/json"
_RUNS_WRITTEN_AT_ONCE: Final = 2**16


def is_brief(result: Result, form: AnswerFormat) -> bool:
    """Whether the event loop renders it in little more time than a turn in a thread takes."""
    lengths = sum(len(instance.runs.counts) for instance in result.instances)
    return form == "rle" and lengths < _RUNS_WRITTEN_AT_ONCE


def render(result: Result, form: AnswerFormat, request_id: str) -> Rendering:
    """Renders one image.

    Args:
        result: of the segmenter, with the radiograph's pixels for an overlay.
        form: the format to answer in.
        request_id: named in a picture.

    Yields:
        After each step.

    Returns:
        JSON of an `ImageAnswer` without its index; or a PNG file that names the model and the
        request, and nothing of the file's text.
    """
    if form in PICTURES:
        pixels = result.pixels if form == "overlay" else None
        picture = label_map(result) if pixels is None else overlay(pixels, result)
        yield
        return encode_png(picture, describe(result, request_id=request_id))
    instances = []
    for one in result.instances:
        instances.append(
            Instance(
                label=one.label,
                category_id=one.category_id,
                score=one.score,
                outline_uncertainty=one.outline_uncertainty,
                bbox=one.bbox,
                area=one.area,
                segmentation=_segmentation(one, form),
            )
        )
        yield
    answer = ImageAnswer(
        index=0,
        sha256=result.sha256,
        out_of_distribution=result.out_of_distribution,
        instances=instances,
        timings=result.timings,
        **vars(result.radiograph),  # of which the schema takes what it has
    )
    return answer.model_dump_json(exclude={"index"}).encode()


def render_dicom(result: Result, manifest: Manifest, asked: DicomRequest) -> Rendering:
    """Renders the DICOM objects of one image.

    Args:
        result: of the segmenter, with its source header, and with pixels for a secondary capture.
        manifest: of the model.
        asked: which objects.

    Yields:
        After each step.

    Returns:
        The file of one object, or the body of a multipart answer with several (PS3.18 8.6.1).

    Raises:
        NoDicomResultError: where there can be none.
    """
    body = b""
    for kind in asked.kinds:
        pieces = []
        for piece in dicom_pieces(result, kind, manifest, asked.options):
            pieces.append(piece)
            yield
        whole = b"".join(pieces)
        if not asked.in_parts:
            return whole
        head = f"--{asked.boundary}\r\nContent-Type: {DICOM}\r\n\r\n"
        body += head.encode() + whole + b"\r\n"
    return body + f"--{asked.boundary}--\r\n".encode()


def respond(
    attempts: list[Attempt],
    rendered: Mapping[Result, bytes],
    state: RequestState,
    form: AnswerFormat,
    *,
    in_parts: bool,
    media_type: str = PNG,
) -> Response:
    """The response to a request whose images have all been tried.

    Args:
        attempts: one for each file and frame, in order.
        rendered: what `render` made of each result.
        state: of the request; learns of an error.
        form: the format to answer in.
        in_parts: whether the files came in a form.
        media_type: of a picture or of DICOM objects.

    Raises:
        SoloError: that of a file that was sent alone, or of a picture or DICOM object.
    """
    results = [attempt.result for attempt in attempts if isinstance(attempt.result, Result)]
    errors = [attempt.result for attempt in attempts if isinstance(attempt.result, SoloError)]
    alone = len(attempts) == 1 and not in_parts
    whole = form == "dicom" or form in PICTURES
    if errors and (alone or whole):
        raise errors[0]
    if whole:
        return Response(rendered[results[0]], media_type=media_type)
    if not results:
        details = problem_details(errors[0], state.request_id).model_dump()
        failures = [
            _failure(attempt, attempt.result, state.request_id)
            for attempt in attempts
            if isinstance(attempt.result, SoloError)
        ]
        return problem_response(errors[0], state, FailedRequest(**details, images=failures))
    answer = SegmentAnswer(request_id=state.request_id, model=results[0].model, images=[])
    head = answer.model_dump_json().encode().removesuffix(b"]}")
    images = (_image(attempt, rendered, state.request_id) for attempt in attempts)
    return Response(b"%b%b]}" % (head, b",".join(images)), media_type=_JSON)


def film_parts(answer: Response, stored: StoredPixels, frames: int) -> dict[str, Part]:
    """The parts of an answer with the film's cells.

    Args:
        answer: the one without them.
        stored: the film.
        frames: that its file has.
    """
    display = FilmDisplay(frames=frames, **asdict(stored.display))
    parts = {
        "answer": Part(_JSON, bytes(answer.body)),
        "display": Part(_JSON, display.model_dump_json().encode()),
    }
    for name, array in zip(("table", "values", "cells"), stored.arrays, strict=True):
        little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
        parts[name] = Part(SNIFFED, little.data.cast("B"))
    return parts


def _image(attempt: Attempt, rendered: Mapping[Result, bytes], request_id: str) -> bytes:
    if isinstance(attempt.result, SoloError):
        return _failure(attempt, attempt.result, request_id).model_dump_json().encode()
    return b'{"index":%d,%b' % (attempt.index, rendered[attempt.result].removeprefix(b"{"))


def _failure(attempt: Attempt, error: SoloError, request_id: str) -> ImageFailure:
    return ImageFailure(
        index=attempt.index,
        sha256=attempt.file.sha256,
        frame=attempt.frame,
        error=problem_details(error, request_id),
    )


def _segmentation(
    instance: library.Instance, form: AnswerFormat
) -> Segmentation | UncompressedSegmentation | Polygons:
    runs = instance.runs
    match form:
        case "polygons":
            return instance.polygons()
        case "uncompressed-rle":
            return UncompressedSegmentation(size=runs.size, counts=runs.counts.tolist())
        case _:
            return Segmentation(size=runs.size, counts=runs.compressed())
