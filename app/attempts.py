"""Attempts: each frame of each file of an upload, with the segmenter's result or its own error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import time_ns
from typing import TYPE_CHECKING

from app.http.media_types import UploadedFile
from app.http.parameters import FrameRange
from solo.errors import InvalidParameterError, ModelFailedError, SoloError
from solo.result import Result

if TYPE_CHECKING:
    from app.tracing import Tracing

Segment = Callable[..., Awaitable[Result]]
"""`AsyncSegmenter.segment` with all but the file and its `frame`."""
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

    @property
    def facts(self) -> dict[str, object]:
        """What the log may know of it."""
        if isinstance(self.result, SoloError):
            return {"error": self.result.kind}
        info = self.result.radiograph
        return {
            "kind": info.kind,
            "encoding": info.encoding,
            "height": info.height,
            "width": info.width,
            "frame": info.frame,
            "grey": info.grey,
            "instances": len(self.result.instances),
            **{name: round(value, 6) for name, value in vars(self.result.timings).items()},
        }


async def attempt_all(
    files: Sequence[UploadedFile],
    frames: FrameRange,
    segment: Segment,
    tracing: Tracing | None,
    at_once: int,
) -> list[Attempt]:
    """Segments the files, each with the frames that are asked for, in order.

    Args:
        files: of the request.
        frames: which of each file.
        segment: segments one.
        tracing: told of each, or None.
        at_once: most frames of a file that are in work together.
    """
    works = [
        _attempt_file(partial(_attempt, index, file, segment, tracing), frames, at_once)
        for index, file in enumerate(files)
    ]
    found = [await works[0]] if len(works) == 1 else await asyncio.gather(*works)  # spares a task
    return _of_one_model([attempt for some in found for attempt in some])


async def _attempt_file(
    attempt: Callable[[int], Awaitable[Attempt]], frames: FrameRange, at_once: int
) -> list[Attempt]:
    """The frames of one file; its own error comes once.

    The first frame tells how many there are. The others follow in groups, so that a long run does
    not take the whole queue.
    """
    first = await attempt(frames.first)
    if frames.is_one or not isinstance(first.result, Result):
        return [first]
    try:
        chosen = frames.within(first.result.radiograph.frames)
    except InvalidParameterError as error:
        return [replace(first, result=error)]
    attempts = [first]
    for start in range(chosen.start + 1, chosen.stop, at_once):
        group = range(start, min(start + at_once, chosen.stop))
        attempts += await asyncio.gather(*map(attempt, group))
    return attempts


async def _attempt(
    index: int, file: UploadedFile, segment: Segment, tracing: Tracing | None, frame: int
) -> Attempt:
    began = time_ns()
    result: Result | SoloError
    try:
        result = file.refusal or await segment(file, frame=frame)
    except SoloError as error:
        result = error
    except Exception:
        _logger.exception("an image failed unexpectedly")
        result = SoloError("the service failed on this image")
    if tracing is not None and isinstance(result, Result):
        tracing.image(index, began, result)
    return Attempt(index, frame, file, result)


def _of_one_model(attempts: list[Attempt]) -> list[Attempt]:
    """Takes back what another model answered than the first: an answer names one model.

    That can only be where a new model failed while a request of many images was at work, and its
    predecessor answered the rest.
    """
    models = [one.result.model for one in attempts if isinstance(one.result, Result)]
    error = ModelFailedError("the model was replaced meanwhile: send this file again")
    return [
        replace(one, result=error)
        if isinstance(one.result, Result) and one.result.model != models[0]
        else one
        for one in attempts
    ]
