"""Which frames of a file are segmented: one (`2`), a range (`0-4`), or `all`.

Each frame takes its own place in the queue and has its own answer or error.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from app.http.upload import UploadedFile
from app.schemas import SegmentQuery
from solo.errors import InvalidParameterError
from solo.segmenter import Attempt, Order, Segmenter

MAX_FRAMES: Final = 128


@dataclass(frozen=True)
class FrameChoice:
    """Frames from the first to the last, both included; `last` is None for the file's last."""

    first: int
    last: int | None

    @classmethod
    def of(cls, query: SegmentQuery) -> FrameChoice:
        """Reads the parameter, whose form the query has checked."""
        if query.frame == "all":
            return cls(0, None)
        first, _, last = query.frame.partition("-")
        return cls(int(first), int(last or first))

    @property
    def is_one(self) -> bool:
        """Whether it is a single frame."""
        return self.first == self.last

    def within(self, frames: int) -> range:
        """The frames of a file that has so many.

        Raises:
            InvalidParameterError: for frames that are not there, none, or too many at once.
        """
        last = frames - 1 if self.last is None else self.last
        if not self.first <= last < frames:
            raise InvalidParameterError(
                f"the frames {self.first} to {last} are asked for, but the file has {frames}, from "
                "number 0"
            )
        chosen = range(self.first, last + 1)
        if len(chosen) > MAX_FRAMES:
            raise InvalidParameterError(
                f"{len(chosen)} frames are asked for; at most {MAX_FRAMES} are answered at once"
            )
        return chosen


async def segment_frames(
    segmenter: Segmenter, index: int, file: UploadedFile, order: Order
) -> list[Attempt]:
    """Segments the frames that are asked for, in order; a file's own error comes once.

    The first frame tells how many there are. The others follow in groups as large as a batch, so
    that a long run does not take the whole queue.
    """
    choice = FrameChoice.of(order.query)
    first = await segmenter.segment(index, file, order, choice.first)
    if choice.is_one or first.film is None:
        return [first]
    try:
        frames = choice.within(first.film.frames)
    except InvalidParameterError as error:
        return [Attempt(index, choice.first, file, error)]
    attempts = [first]
    for start in range(frames.start + 1, frames.stop, segmenter.max_batch):
        group = range(start, min(start + segmenter.max_batch, frames.stop))
        attempts += await asyncio.gather(
            *(segmenter.segment(index, file, order, frame) for frame in group)
        )
    return attempts
