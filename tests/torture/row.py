"""What one scenario came to, and what of it must not be."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from tests.torture.attack import Attack, Bar
from tests.torture.good_client import Seen
from tests.torture.siege import Tally

_THREEFOLD: Final = 3.0


@dataclass
class Row:
    """What one scenario came to.

    Attributes:
        attack: that was made.
        tally: what the attack was answered.
        seen: what the good client was answered meanwhile.
        alone: p99 seconds of the good client before and after.
        idle_seconds: from the attack's end until the service computed no more.
        memory_bytes: that all its processes held then.
        exit_code: of the service, once it has ended; None while it runs.
        should_end: whether it was told to end.
    """

    attack: Attack
    tally: Tally
    seen: Seen
    alone: list[float] = field(default_factory=list)
    idle_seconds: float = float("nan")
    memory_bytes: int = 0
    exit_code: int | None = None
    should_end: bool = False

    @property
    def p99_alone(self) -> float:
        """Seconds: the median of before and after."""
        measured = [seconds for seconds in self.alone if not math.isnan(seconds)]
        return median(measured) if measured else float("nan")

    @property
    def unexpected(self) -> dict[str, int]:
        """Answers to the attack that it must not get, and other things that must not be."""
        bad = {
            f"answer {n}": k for n, k in self.tally.answers.items() if n not in self.attack.answers
        }
        return {**bad, **self.tally.faults}

    def missed(self, *, timed: bool = True) -> list[str]:
        """What this scenario shows that must not be; nothing of time unless `timed`."""
        seen = self.seen
        others = {
            status: count
            for status, count in seen.others.items()
            if status not in self.attack.good_answers
        }
        found = {
            f"{seen.wrong} wrong answers": seen.wrong,
            f"{seen.turned_away} times 429 or 503 for the good client": seen.turned_away,
            f"other answers for the good client: {others}": others,
            f"unexpected: {self.unexpected}": self.unexpected,
            f"the service's exit code: {self.exit_code}": self._ended_badly,
            "the good client got no right answer": not seen.seconds,
            f"p99 is more than {self.attack.bar.value}": timed and self._late,
        }
        return [sentence for sentence, is_so in found.items() if is_so]

    @property
    def _ended_badly(self) -> bool:
        return self.exit_code != 0 if self.should_end else self.exit_code is not None

    @property
    def _late(self) -> bool:
        allowed = {
            Bar.THREEFOLD: _THREEFOLD * self.p99_alone,
            Bar.ONE_DECODE: self.p99_alone + self.tally.decode_seconds,
            Bar.ANY: float("inf"),
        }
        return self.seen.percentile(99) > allowed[self.attack.bar]
