"""Admission control: bounded places in the queue, and a forecast of the wait."""

from __future__ import annotations

import math
from collections.abc import Callable

from solo.batching.priority_queue import BULK_TURN, Lane
from solo.errors import QueueFullError, TooBusyError
from solo.inference.cost_model import CostModel

_LONGEST_RETRY_AFTER_SECONDS = 600


class Place:
    """A place in the queue, held from before an image is decoded until it leaves for the model.

    Holding it while decoding bounds what undecoded and decoded images take in memory. Used as a
    context manager, it is released at the end at the latest.

    Args:
        lane: in which the image waits.
        taken: how many places of each lane are taken; counts itself in.
    """

    def __init__(self, lane: Lane, taken: dict[Lane, int]) -> None:
        self.lane = lane
        self._taken = taken
        self._held = True
        taken[lane] += 1

    def release(self) -> None:
        """Frees the place; a second time changes nothing."""
        if self._held:
            self._held = False
            self._taken[self.lane] -= 1

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Admission:
    """Admission control: gives out places, and refuses at once what would wait in vain.

    The bulk lane may hold half of the places: an archive cannot shut a person out.

    Args:
        limit: number of places.
        costs: what a run of the model takes now.
    """

    def __init__(self, limit: int, costs: Callable[[], CostModel]) -> None:
        self._limits: dict[Lane, int] = {"interactive": limit, "bulk": max(1, limit // 2)}
        self._costs = costs
        self._taken: dict[Lane, int] = {"interactive": 0, "bulk": 0}

    @property
    def taken(self) -> int:
        """Places that are not free."""
        return self._taken["interactive"] + self._taken["bulk"]

    def check(self, lane: Lane, seconds: float) -> None:
        """Refuses early, before a body is read.

        Args:
            lane: in which the image would wait.
            seconds: until its deadline.

        Raises:
            QueueFullError: if no place is free.
            TooBusyError: if those ahead will take longer than until the deadline.
        """
        taken = self.taken
        if taken >= self._limits["interactive"]:
            raise self._full(f"{taken} images are waiting", self._limits["interactive"])
        if self._taken[lane] >= self._limits[lane]:
            raise self._full(f"{self._taken[lane]} {lane} images are waiting", self._limits[lane])
        forecast = self._costs().drain_seconds(self._ahead(lane) + 1)
        if 0 < seconds < forecast:  # a deadline that has passed is told as such
            raise TooBusyError(
                f"an answer would take about {forecast:.3g} s with {self._ahead(lane)} images "
                f"ahead, but {max(0.0, seconds):.3g} s are left",
                _retry_after(forecast - seconds),
            )

    def place(self, lane: Lane, seconds: float) -> Place:
        """Takes a place.

        Args:
            lane: in which the image waits.
            seconds: until its deadline.

        Raises:
            QueueFullError: if none is free.
            TooBusyError: if those ahead will take longer than until the deadline.
        """
        self.check(lane, seconds)
        return Place(lane, self._taken)

    def _full(self, who: str, limit: int) -> QueueFullError:
        seconds = self._costs().drain_seconds(self.taken)
        return QueueFullError(f"{who}, and at most {limit} may", _retry_after(seconds))

    def _ahead(self, lane: Lane) -> int:
        """How many images will run before a newcomer to this lane."""
        interactive, bulk = self._taken["interactive"], self._taken["bulk"]
        if lane == "bulk":
            return interactive + bulk
        return interactive + min(bulk, interactive // (BULK_TURN - 1))


def _retry_after(seconds: float) -> int:
    """Whole seconds for the header, at least one."""
    return min(_LONGEST_RETRY_AFTER_SECONDS, max(1, math.ceil(seconds)))
