"""An idle model's wait for more images, by the event loop's clock; how long, `patience.py` says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from solo.batching.patience import Patience
from solo.inference.cost_model import RunTimes


class Company:
    """Waits for company, or does not.

    Args:
        waiting: how many images wait for the model.
        over: called when the time is up.
    """

    def __init__(self, waiting: Callable[[], int], over: Callable[[], None]) -> None:
        self._waiting, self._over = waiting, over
        self._patience = Patience()
        self._handle: asyncio.Handle | None = None

    @property
    def expected(self) -> bool:
        """Whether a wait is under way."""
        return self._handle is not None

    @property
    def complete(self) -> bool:
        """Whether nobody is waited for, or all of them have come, or the time is up."""
        return not self.expected or self._patience.satisfied(self._waiting())

    def begin(self, answered: int, times: RunTimes) -> None:
        """Begins to wait if it is worth it: a batch of so many images was answered."""
        seconds = self._patience.begin(answered, self._waiting(), times)
        if seconds > 0:
            # The time runs from when the answers to that batch are out: this turn of the loop
            # makes them ready, the next one sends them.
            self._handle = asyncio.get_running_loop().call_soon(self._wait_a_turn, seconds)

    def end(self) -> bool:
        """Ends the wait; returns whether there was one."""
        if self._handle is None:
            return False
        self._handle.cancel()
        self._handle = None
        self._patience.end(self._waiting())
        return True

    def _wait_a_turn(self, seconds: float) -> None:
        self._handle = asyncio.get_running_loop().call_soon(self._wait, seconds)

    def _wait(self, seconds: float) -> None:
        self._handle = asyncio.get_running_loop().call_later(seconds, self._time_is_up)

    def _time_is_up(self) -> None:
        """Who has come goes, unless others follow."""
        waiting = self._waiting()
        more = self._patience.look(waiting)
        if more > 0:
            self._wait(more)
            return
        if not waiting:
            self.end()
        self._over()
