"""The good client: sends one film after the other, and knows what each must be answered.

It comes from an address of its own, as the clients of a service do that knows them by address.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from time import monotonic, perf_counter
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.http_client import Connection, Reply, Target
from benchmarks.service_process import ROOT
from tests.support.films import png

ADDRESS: Final = "127.0.0.2"
PATIENCE_SECONDS: Final = 32.0  # a little more than the service's own deadline
_SCORE_TOLERANCE: Final = 1e-5
"""Of a score in float32: a network multiplies batches of other sizes in another order."""
_TURNED_AWAY: Final = {429, 503}
_MOST_LOST_IN_A_ROW: Final = 2


@dataclass
class Seen:
    """What the good client was answered.

    Attributes:
        seconds: of each right answer.
        wrong: answers of another film, or with other masks than alone.
        turned_away: answers of 429 or 503.
        others: every other answer by status; 0 for none.
    """

    seconds: list[float] = field(default_factory=list)
    wrong: int = 0
    turned_away: int = 0
    others: Counter[int] = field(default_factory=Counter)

    def percentile(self, percent: float) -> float:
        """Seconds that this share of the right answers did not exceed; nearest rank."""
        ordered = sorted(self.seconds)
        if not ordered:
            return float("nan")
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def ordinary_films() -> list[bytes]:
    """Films of 1 to 2 Mpx, no two with one answer: a DICOM, and PNGs of two crops."""
    path = ROOT / "examples/chest.png"
    film = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if film is None:
        raise FileNotFoundError(path)
    crop: npt.NDArray[np.uint8] = np.ascontiguousarray(film[:, 120:-80], np.uint8)
    return [path.read_bytes(), (ROOT / "examples/chest.dcm").read_bytes(), png(crop)]


class GoodClient:
    """Asks one thing at a time, and compares each answer with that to the same film alone.

    Args:
        films: to send in turn.
    """

    def __init__(self, films: list[bytes]) -> None:
        self._films = films
        self._alone: list[Any] = []
        self._connection: Connection | None = None

    async def learn(self, port: int) -> None:
        """Asks for each film while nobody else asks: its answer from now on.

        Raises:
            RuntimeError: if there is none.
        """
        self.close()
        replies = [await self._ask(port, film) for film in self._films]
        if bad := [reply.body[:200] for reply in replies if reply.status != 200]:
            raise RuntimeError(f"a film alone got {bad}")
        pairs = zip(replies, self._films, strict=True)
        self._alone = [_instances(reply, film) for reply, film in pairs]

    async def send(self, port: int, requests: int, most_seconds: float = 600.0) -> Seen:
        """Sends so many films, or fewer once the time is up or nothing is answered any more."""
        self.close()  # the last one may have been idle for too long
        seen, lost_in_a_row, until = Seen(), 0, monotonic() + most_seconds
        for number in range(requests):
            if monotonic() > until or lost_in_a_row == _MOST_LOST_IN_A_ROW:
                break
            index = number % len(self._films)
            started = perf_counter()
            reply = await self._ask(port, self._films[index])
            seconds = perf_counter() - started
            lost_in_a_row = 0 if reply.status else lost_in_a_row + 1
            if reply.status in _TURNED_AWAY:
                seen.turned_away += 1
            elif reply.status != 200:
                seen.others[reply.status] += 1
            elif not _equal(_instances(reply, self._films[index]), self._alone[index]):
                seen.wrong += 1
            else:
                seen.seconds.append(seconds)
        return seen

    def close(self) -> None:
        """Closes its connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    async def _ask(self, port: int, film: bytes) -> Reply:
        url = f"http://127.0.0.1:{port}/segment"
        target = Target.post(url, film, "application/octet-stream")
        reply = Reply(0)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                if self._connection is None:
                    self._connection = await Connection.open(target, ADDRESS)
                reply = await self._connection.ask(target)
        except (OSError, TimeoutError):
            pass
        if reply.status == 0:
            self.close()
        return reply


def _equal(ours: Any, alone: Any) -> bool:
    """Whether labels, boxes, areas and masks are the same, and scores but for rounding."""
    return (
        ours is not None
        and [{**one, "score": 0} for one in ours] == [{**one, "score": 0} for one in alone]
        and all(
            abs(one["score"] - other["score"]) < _SCORE_TOLERANCE
            for one, other in zip(ours, alone, strict=True)
        )
    )


def _instances(reply: Reply, film: bytes) -> Any:
    """The answer's instances, scores and masks; None if it is another film's."""
    (image,) = json.loads(reply.body)["images"]
    own = image.get("sha256") == hashlib.sha256(film).hexdigest()
    return image.get("instances") if own else None
