"""Rate limit of each API key (GCRA)."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic

from app.errors import KeyRateError


class RateLimiter:
    """A rate limiter: a rate and a burst, the same for each key, counted apart.

    A request moves a key's account `1 / per_second` into the future, and it may lie `burst - 1`
    requests ahead of the clock (the virtual scheduling of ITU-T I.371): one number a key, and no
    timer.

    Args:
        per_second: requests that a key may send in the long run.
        burst: requests that it may send at once, when it has not asked for a while.
        clock: in seconds.
    """

    def __init__(
        self, per_second: float, burst: int, clock: Callable[[], float] = monotonic
    ) -> None:
        self._per_second, self._burst = per_second, burst
        self._ahead_seconds = (burst - 1) / per_second
        self._clock = clock
        self._accounts: dict[str, float] = {}

    def count(self, key: str) -> None:
        """Counts a request; one that is refused is not counted.

        Args:
            key: name of the key, of which there are as many as the file of keys has.

        Raises:
            KeyRateError: if it comes too early.
        """
        now = self._clock()
        account = max(self._accounts.get(key, now), now)
        early = account - now - self._ahead_seconds
        if early > 0:
            raise KeyRateError(
                f"this key may send {self._per_second:g} requests a second, and {self._burst} at "
                "once",
                math.ceil(early),
            )
        self._accounts[key] = account + 1 / self._per_second
