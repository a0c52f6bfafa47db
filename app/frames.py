"""Frame ranges: one (`2`), a range (`0-4`), or `all`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from solo.errors import InvalidParameterError

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
