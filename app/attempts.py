"""One frame of an upload: the segmenter's result, or the error that stays with it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from time import time_ns
from typing import TYPE_CHECKING

from app.http.media_types import UploadedFile
from solo.async_segmenter import AsyncSegmenter
from solo.batching.priority_queue import Lane
from solo.errors import ModelFailedError, SoloError
from solo.inference.model_runner import ModelRunner
from solo.options import Options
from solo.result import Result

if TYPE_CHECKING:
    from app.tracing import Tracing

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """The outcome for one frame of a file.

    Attributes:
        index: the file's place in the request.
        frame: which of its frames.
        file: what was sent.
        result: of the segmenter, or why there is none.
    """

    index: int
    frame: int
    file: UploadedFile
    result: Result | SoloError


@dataclass(frozen=True)
class Order:
    """Parameters of a request that hold for each of its files.

    Attributes:
        options: which instances are wanted.
        lane: in which its images wait.
        wants_pixels: whether the answer shows the radiograph.
        model: the one that serves when the request comes; all its images are for this one.
        deadline: event loop time by which the answer must be there.
    """

    options: Options
    lane: Lane
    wants_pixels: bool
    model: ModelRunner
    deadline: float


async def attempt(
    segmenter: AsyncSegmenter,
    tracing: Tracing | None,
    index: int,
    file: UploadedFile,
    order: Order,
    frame: int,
) -> Attempt:
    """Segments one frame of a file; its errors are in the outcome.

    Args:
        segmenter: does it.
        tracing: told of it, or None.
        index: the file's place in the request.
        file: its bytes.
        order: what the request asks for.
        frame: which frame, from 0.
    """
    if file.refusal is not None:
        return Attempt(index, frame, file, file.refusal)
    began = time_ns()
    try:
        result = await segmenter.segment(
            file,
            frame=frame,
            options=order.options,
            deadline=order.deadline,
            lane=order.lane,
            model=order.model,
            wants_pixels=order.wants_pixels,
        )
    except SoloError as error:
        return Attempt(index, frame, file, error)
    except Exception:
        _logger.exception("an image failed unexpectedly")
        return Attempt(index, frame, file, SoloError("the service failed on this image"))
    if tracing is not None:
        tracing.image(index, began, result)
    return Attempt(index, frame, file, result)


def of_one_model(attempts: list[Attempt]) -> list[Attempt]:
    """Takes back what another model answered than the first: an answer names one model.

    That can only be where a new model failed while a request of many files was at work, and its
    predecessor answered the rest.
    """
    models = [one.result.model for one in attempts if isinstance(one.result, Result)]
    error = ModelFailedError("the model was replaced meanwhile: send this file again")
    return [
        Attempt(one.index, one.frame, one.file, error)
        if isinstance(one.result, Result) and one.result.model != models[0]
        else one
        for one in attempts
    ]
