"""Frame ranges: one (`2`), a range (`0-4`), or `all`.

Each frame takes its own place in the queue and has its own answer or error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from app.attempts import Attempt
from solo.errors import InvalidParameterError
from solo.result import Result

MAX_FRAMES: Final = 128


@dataclass(frozen=True)
class FrameRange:
    """Frames from the first to the last, both included; `last` is None for the file's last."""

    first: int
    last: int | None

    @classmethod
    def parse(cls, text: str) -> FrameRange:
        """Reads the parameter, whose form the query has checked."""
        if text == "all":
            return cls(0, None)
        first, _, last = text.partition("-")
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
    segment: Callable[[int], Awaitable[Attempt]], frames: FrameRange, at_once: int
) -> list[Attempt]:
    """Segments the frames that are asked for, in order; a file's own error comes once.

    The first frame tells how many there are. The others follow in groups, so that a long run does
    not take the whole queue.

    Args:
        segment: segments one frame of the file.
        frames: which.
        at_once: most frames in a group.
    """
    first = await segment(frames.first)
    if frames.is_one or not isinstance(first.result, Result):
        return [first]
    try:
        chosen = frames.within(first.result.radiograph.frames)
    except InvalidParameterError as error:
        return [Attempt(first.index, first.frame, first.file, error)]
    attempts = [first]
    for start in range(chosen.start + 1, chosen.stop, at_once):
        group = range(start, min(start + at_once, chosen.stop))
        attempts += await asyncio.gather(*map(segment, group))
    return attempts
