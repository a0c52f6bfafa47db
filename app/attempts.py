"""Attempts: each frame of each file of an upload, with the segmenter's result or its own error."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import time_ns
from typing import TYPE_CHECKING

from app.http.media_types import UploadedFile
from app.http.parameters import FrameRange
from solo.errors import (
    DeadlineError,
    InvalidParameterError,
    ModelFailedError,
    QueueFullError,
    SoloError,
)
from solo.result import Result

if TYPE_CHECKING:
    from app.tracing import Tracing

Segment = Callable[..., Awaitable[Result]]
"""`AsyncSegmenter.segment` with all but the file and its `frame`."""
Charge = Callable[[int], None]
_Image = tuple[int, int]  # the file's place in the request, and the frame
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
        info, strange = self.result.radiograph, self.result.out_of_distribution
        return {
            "kind": info.kind,
            "encoding": info.encoding,
            "height": info.height,
            "width": info.width,
            "frame": info.frame,
            "grey": info.grey,
            "instances": len(self.result.instances),
            "out_of_distribution": strange and round(strange.score, 3),
            **{name: round(value, 6) for name, value in vars(self.result.timings).items()},
        }


async def attempt_all(
    files: Sequence[UploadedFile],
    frames: FrameRange,
    segment: Segment,
    tracing: Tracing | None,
    at_once: int,
    deadline: float = math.inf,
    charge: Charge = lambda _: None,
) -> list[Attempt]:
    """Segments the files, each with the frames that are asked for, in order.

    A window of them is in work together, so that a long form or run does not take the whole queue.
    The first frame of a file tells how many there are; its own error comes once. An image that the
    queue refuses is tried again when another of the request has left it.

    Args:
        files: of the request.
        frames: which of each file.
        segment: segments one.
        tracing: told of each, or None.
        at_once: most images that are in work together.
        deadline: event loop time after which no image is begun.
        charge: told of images beyond the first: 1 for one that is begun, -1 for one that was not.
    """
    if len(files) == 1 and frames.is_one:  # spares a task
        return [await _attempt(segment, tracing, 0, files[0], frames.first)]
    work = _Work(files, frames, partial(_attempt, segment, tracing), charge)
    try:
        await work.do(at_once, deadline)
    finally:
        await work.cancel()
    return _of_one_model([work.found[image] for image in sorted(work.found)])


class _Work:
    """The images of a request: those that wait, are in work, and are found."""

    def __init__(
        self,
        files: Sequence[UploadedFile],
        frames: FrameRange,
        attempt: Callable[[int, UploadedFile, int], Coroutine[None, None, Attempt]],
        charge: Charge,
    ) -> None:
        self._files, self._frames, self._attempt, self._charge = files, frames, attempt, charge
        self._waiting = deque((index, frames.first) for index in range(len(files)))
        self._in_work: dict[asyncio.Task[Attempt], _Image] = {}
        self._begun = 0
        self.found: dict[_Image, Attempt] = {}

    async def do(self, at_once: int, deadline: float) -> None:
        loop, most = asyncio.get_running_loop(), at_once
        while self._waiting or self._in_work:
            if loop.time() >= deadline:
                self._give_up(DeadlineError("the image was not begun before the deadline"))
            while self._waiting and len(self._in_work) < most:
                self._begin(self._waiting.popleft())
            if self._in_work:
                done, _ = await asyncio.wait(self._in_work, return_when=asyncio.FIRST_COMPLETED)
                refused = [self._is_put_back(task) for task in done]
                most = max(1, len(self._in_work)) if any(refused) else min(most + 1, at_once)

    async def cancel(self) -> None:
        """Leaves nothing in work."""
        for task in self._in_work:
            task.cancel()
        if self._in_work:
            await asyncio.wait(self._in_work)

    def _begin(self, image: _Image) -> None:
        index, frame = image
        task = asyncio.create_task(self._attempt(index, self._files[index], frame))
        self._in_work[task] = image
        if self._begun:
            self._charge(1)
        self._begun += 1

    def _is_put_back(self, task: asyncio.Task[Attempt]) -> bool:
        """Takes an attempt in; one that found no place waits for others of the request."""
        image, attempt = self._in_work.pop(task), task.result()
        if isinstance(attempt.result, QueueFullError) and self._in_work:
            self._waiting.appendleft(image)
            self._begun -= 1
            self._charge(-1)
            return True
        self.found[image] = attempt
        first, frames = image[1] == self._frames.first, self._frames
        if first and not frames.is_one and isinstance(attempt.result, Result):
            try:
                further = frames.within(attempt.result.radiograph.frames)[1:]
            except InvalidParameterError as error:
                self.found[image] = replace(attempt, result=error)
            else:
                self._waiting.extendleft((image[0], frame) for frame in reversed(further))
        return False

    def _give_up(self, error: SoloError) -> None:
        for image in self._waiting:
            self.found[image] = Attempt(*image, self._files[image[0]], error)
        self._waiting.clear()


async def _attempt(
    segment: Segment, tracing: Tracing | None, index: int, file: UploadedFile, frame: int
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
