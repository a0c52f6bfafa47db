"""How long an idle model waits for more images to run together."""

from __future__ import annotations

from typing import Final

from solo.inference.cost_model import RunTimes

MAX_WAIT_SECONDS: Final = 0.005
MAX_SKIPPED: Final = 63
STEP_SECONDS: Final = 0.001


class Patience:
    """Whether an idle model should wait for company, and for how much of it.

    A model that takes what is there the moment it is idle runs 1, 7, 1, 7 with eight clients: the
    first to come back leaves alone, the others miss its batch. So after a batch it expects that as
    many come back as were just answered, beside those that wait already. It waits half as long as
    company can save at most, and as long again, a millisecond a time, while each brings somebody:
    those who come together are seen one by one. Where nobody came, it does not wait the next 1, 3,
    7 ... 63 times. A client by itself is never waited for: nobody else is expected.
    """

    def __init__(self) -> None:
        self._expected = 0
        self._there = 0
        self._seen = 0
        self._left_seconds = 0.0
        self._short = False
        self._skip = 0
        self._fails = 0

    def begin(self, answered: int, waiting: int, times: RunTimes) -> float:
        """A batch was answered and the model is idle.

        Args:
            answered: images of that batch.
            waiting: images that wait now.
            times: of the model.

        Returns:
            For how many seconds to wait at most; 0 for not at all.
        """
        self._there, self._seen, self._short = waiting, waiting, False
        self._expected = min(answered + waiting, times.best_size)
        seconds = self._left_seconds = min(MAX_WAIT_SECONDS, times.joining_saves_seconds / 2)
        if self._expected <= max(1, waiting) or seconds <= 0:
            return 0.0
        if self._skip > 0:
            self._skip -= 1
            return 0.0
        return seconds

    def satisfied(self, waiting: int) -> bool:
        """Whether all that were expected have come, or the time is up."""
        return self._short or waiting >= self._expected

    def look(self, waiting: int) -> float:
        """The time is up; whoever is there is enough, unless they are still coming.

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
        """The wait is over; the less it brought, the longer until the next one."""
        if 2 * (waiting - self._there) >= self._expected - self._there:
            self._fails = 0
            return
        self._fails = min(self._fails + 1, MAX_SKIPPED.bit_length())
        self._skip = (1 << self._fails) - 1
