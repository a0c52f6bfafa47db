"""Batch window: how long an idle model holds a batch open for more images."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from solo.inference.cost_model import CostModel

MAX_WAIT_SECONDS: Final = 0.005
MAX_SKIPPED: Final = 63
STEP_SECONDS: Final = 0.001


class BatchWindow:
    """A batch window whose length is learnt from what earlier ones brought.

    A model that takes what is there the moment it is idle runs 1, 7, 1, 7 with eight clients: the
    first to come back leaves alone, the others miss its batch. So after a batch it expects that as
    many come back as were just answered, beside those that wait already. It waits half as long as
    one run in place of two can save at most, and as long again, a millisecond a time, while each
    brings somebody: those who come together are seen one by one. Where nobody came, it does not
    wait the next 1, 3, 7 ... 63 times. A client by itself is never waited for: nobody else is
    expected.

    Args:
        waiting: how many images wait for the model.
        over: called when the time is up.
    """

    def __init__(self, waiting: Callable[[], int], over: Callable[[], None]) -> None:
        self._waiting, self._over = waiting, over
        self._wait: asyncio.Task[None] | None = None
        self._time_is_up = False
        self._there = self._expected = 0
        self._skip = self._fails = 0

    @property
    def is_open(self) -> bool:
        """Whether a window is open."""
        return self._wait is not None

    @property
    def is_over(self) -> bool:
        """Whether none is open, or all that were expected have come, or the time is up."""
        return not self.is_open or self._time_is_up or self._waiting() >= self._expected

    def begin(self, answered: int, costs: CostModel) -> None:
        """Opens one if it is worth it: a batch of so many images was answered."""
        self._there = self._waiting()
        self._expected = min(answered + self._there, costs.best_size)
        seconds = min(MAX_WAIT_SECONDS, costs.joining_saves_seconds / 2)
        if self._expected <= max(1, self._there) or seconds <= 0:
            return
        if self._skip > 0:
            self._skip -= 1
            return
        self._time_is_up = False
        self._wait = asyncio.create_task(self._hold_open(seconds), name="batch-window")

    def end(self) -> bool:
        """Closes the window; the less it brought, the longer until the next one.

        Returns:
            Whether one was open.
        """
        if self._wait is None:
            return False
        self._wait.cancel()
        self._wait = None
        if 2 * (self._waiting() - self._there) >= self._expected - self._there:
            self._fails = 0
        else:
            self._fails = min(self._fails + 1, MAX_SKIPPED.bit_length())
            self._skip = (1 << self._fails) - 1
        return True

    async def _hold_open(self, seconds: float) -> None:
        """Waits, goes on waiting while images are still coming, and sends what has come."""
        # The time runs from when the answers to that batch are out: this turn of the loop makes
        # them ready, the next one sends them.
        await asyncio.sleep(0)
        seen, left_seconds = self._there, seconds
        await asyncio.sleep(seconds)
        while (waiting := self._waiting()) != seen and left_seconds > 0:
            step = min(STEP_SECONDS, left_seconds)
            seen, left_seconds = waiting, left_seconds - step
            await asyncio.sleep(step)
        self._time_is_up = True
        if not waiting:
            self.end()
        self._over()
