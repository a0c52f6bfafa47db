"""Batch window: how long an idle model holds a batch open for more images."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from solo.inference.cost_model import CostModel

MAX_WAIT_SECONDS: Final = 0.005
MAX_SKIPPED: Final = 63
STEP_SECONDS: Final = 0.001


class AdaptiveTimeout:
    """The length of the batch window, learnt from what earlier ones brought.

    A model that takes what is there the moment it is idle runs 1, 7, 1, 7 with eight clients: the
    first to come back leaves alone, the others miss its batch. So after a batch it expects that as
    many come back as were just answered, beside those that wait already. It waits half as long as
    one run in place of two can save at most, and as long again, a millisecond a time, while each
    brings somebody: those who come together are seen one by one. Where nobody came, it does not
    wait the next 1, 3, 7 ... 63 times. A client by itself is never waited for: nobody else is
    expected.
    """

    def __init__(self) -> None:
        self._expected = 0
        self._there = 0
        self._seen = 0
        self._left_seconds = 0.0
        self._short = False
        self._skip = 0
        self._fails = 0

    def begin(self, answered: int, waiting: int, costs: CostModel) -> float:
        """Opens a window: a batch was answered and the model is idle.

        Args:
            answered: images of that batch.
            waiting: images that wait now.
            costs: of the model.

        Returns:
            For how many seconds to wait at most; 0 for not at all.
        """
        self._there, self._seen, self._short = waiting, waiting, False
        self._expected = min(answered + waiting, costs.best_size)
        seconds = self._left_seconds = min(MAX_WAIT_SECONDS, costs.joining_saves_seconds / 2)
        if self._expected <= max(1, waiting) or seconds <= 0:
            return 0.0
        if self._skip > 0:
            self._skip -= 1
            return 0.0
        return seconds

    def satisfied(self, waiting: int) -> bool:
        """Whether all that were expected have come, or the time is up."""
        return self._short or waiting >= self._expected

    def extend(self, waiting: int) -> float:
        """Prolongs the window while images are still coming.

        Args:
            waiting: images that wait now.

        Returns:
            For how many seconds to wait on; 0 for not at all.
        """
        if waiting == self._seen or self._left_seconds <= 0:
            self._short = True
            return 0.0
        self._seen = waiting
        step = min(STEP_SECONDS, self._left_seconds)
        self._left_seconds -= step
        return step

    def end(self, waiting: int) -> None:
        """Closes the window; the less it brought, the longer until the next one."""
        if 2 * (waiting - self._there) >= self._expected - self._there:
            self._fails = 0
            return
        self._fails = min(self._fails + 1, MAX_SKIPPED.bit_length())
        self._skip = (1 << self._fails) - 1


class BatchWindow:
    """A batch window by the event loop's clock; how long, `AdaptiveTimeout` says.

    Args:
        waiting: how many images wait for the model.
        over: called when the time is up.
    """

    def __init__(self, waiting: Callable[[], int], over: Callable[[], None]) -> None:
        self._waiting, self._over = waiting, over
        self._timeout = AdaptiveTimeout()
        self._handle: asyncio.Handle | None = None

    @property
    def is_open(self) -> bool:
        """Whether a window is open."""
        return self._handle is not None

    @property
    def is_over(self) -> bool:
        """Whether none is open, or all that were expected have come, or the time is up."""
        return not self.is_open or self._timeout.satisfied(self._waiting())

    def begin(self, answered: int, costs: CostModel) -> None:
        """Opens one if it is worth it: a batch of so many images was answered."""
        seconds = self._timeout.begin(answered, self._waiting(), costs)
        if seconds > 0:
            # The time runs from when the answers to that batch are out: this turn of the loop
            # makes them ready, the next one sends them.
            self._handle = asyncio.get_running_loop().call_soon(self._wait_a_turn, seconds)

    def end(self) -> bool:
        """Closes the window; returns whether one was open."""
        if self._handle is None:
            return False
        self._handle.cancel()
        self._handle = None
        self._timeout.end(self._waiting())
        return True

    def _wait_a_turn(self, seconds: float) -> None:
        self._handle = asyncio.get_running_loop().call_soon(self._wait, seconds)

    def _wait(self, seconds: float) -> None:
        self._handle = asyncio.get_running_loop().call_later(seconds, self._time_is_up)

    def _time_is_up(self) -> None:
        """Sends what has come, unless more is coming."""
        waiting = self._waiting()
        more = self._timeout.extend(waiting)
        if more > 0:
            self._wait(more)
            return
        if not waiting:
            self.end()
        self._over()
