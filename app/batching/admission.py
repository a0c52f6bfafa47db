"""Who may wait for the model: bounded places, and a forecast of how long it will take."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.batching.lanes import BULK_TURN, Lane
from app.errors import QueueFullError, TooBusyError
from app.inference.run_times import RunTimes
from app.metrics import Metrics

_LONGEST_RETRY_AFTER_SECONDS = 600


@dataclass
class Place:
    """A place in the queue, held from before an image is decoded until it leaves for the model.

    Holding it while decoding bounds what undecoded and decoded images take in memory.
    """

    lane: Lane
    released: bool = False


class Admission:
    """Gives out places, and refuses at once what would wait in vain.

    The bulk lane may hold half of the places: an archive cannot shut a person out.

    Args:
        limit: number of places.
        times: what a run of the model takes now.
        metrics: told of the queue's depth.
    """

    def __init__(self, limit: int, times: Callable[[], RunTimes], metrics: Metrics) -> None:
        self._limits: dict[Lane, int] = {"interactive": limit, "bulk": max(1, limit // 2)}
        self._times = times
        self._metrics = metrics
        self._taken: dict[Lane, int] = {"interactive": 0, "bulk": 0}

    @property
    def taken(self) -> int:
        """Places that are not free."""
        return sum(self._taken.values())

    def check(self, lane: Lane, seconds: float) -> None:
        """Refuses early, before a body is read.

        Args:
            lane: in which the image would wait.
            seconds: until its deadline.

        Raises:
            QueueFullError: if no place is free.
            TooBusyError: if those ahead will take longer than until the deadline.
        """
        self._check_room("", self.taken, self._limits["interactive"])
        self._check_room(f"{lane} ", self._taken[lane], self._limits[lane])
        forecast = self._times().drain_seconds(self._ahead(lane) + 1)
        if 0 < seconds < forecast:  # a deadline that has passed is told as such
            raise TooBusyError(
                f"an answer would take about {forecast:.3g} s with {self._ahead(lane)} images "
                f"ahead, but {max(0.0, seconds):.3g} s are left",
                _retry_after(forecast - seconds),
            )

    def _check_room(self, kind: str, taken: int, limit: int) -> None:
        if taken >= limit:
            raise QueueFullError(
                f"{taken} {kind}images are waiting, and at most {limit} may",
                _retry_after(self._times().drain_seconds(self.taken)),
            )

    @contextmanager
    def place(self, lane: Lane, seconds: float) -> Iterator[Place]:
        """Takes a place.

        Args:
            lane: in which the image waits.
            seconds: until its deadline.

        Raises:
            QueueFullError: if none is free.
            TooBusyError: if those ahead will take longer than until the deadline.
        """
        self.check(lane, seconds)
        place = Place(lane)
        self._count(place, +1)
        try:
            yield place
        finally:
            self.release(place)

    def release(self, place: Place) -> None:
        """Frees a place; a second time changes nothing."""
        if not place.released:
            place.released = True
            self._count(place, -1)

    def _ahead(self, lane: Lane) -> int:
        """How many images will run before a newcomer to this lane."""
        interactive, bulk = self._taken["interactive"], self._taken["bulk"]
        if lane == "bulk":
            return interactive + bulk
        return interactive + min(bulk, interactive // (BULK_TURN - 1))

    def _count(self, place: Place, change: int) -> None:
        self._taken[place.lane] += change
        self._metrics.queue_depth.set(self.taken)


def _retry_after(seconds: float) -> int:
    """Whole seconds for the header, at least one."""
    return min(_LONGEST_RETRY_AFTER_SECONDS, max(1, math.ceil(seconds)))
