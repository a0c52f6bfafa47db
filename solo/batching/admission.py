"""Admission control: bounded places in the queue, shared between clients; a forecast of the wait.

A client alone may hold all places. Beside others it may hold half of them, and who holds less than
an equal part of them is let in up to one and a half times as many: nobody is refused because
somebody else was there first and took all. The bulk lane's own places are shared in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from solo.batching.priority_queue import BULK_TURN, Lane
from solo.errors import QueueFullError, TooBusyError
from solo.inference.cost_model import CostModel

_LONGEST_RETRY_AFTER_SECONDS = 600


class _Places:
    """A number of places, and who holds them.

    Attributes:
        limit: how many there are.
        taken: those that are not free.
        held: how many each client holds, where it is any.
        share: how many a client may hold beside others.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.share = limit, max(1, limit // 2)
        self.taken = 0
        self.held: dict[str, int] = {}

    def change(self, client: str, by: int) -> None:
        self.taken += by
        self.held[client] = self.held.get(client, 0) + by
        if not self.held[client]:
            del self.held[client]

    def ahead(self, client: str) -> int:
        """How many images will run before the client's next, where clients have them in turn."""
        own = self.held.get(client, 0)
        others = len(self.held) - (client in self.held)
        return min(self.taken, own + others * (own + 1))


class Place:
    """A place in the queue, held from before an image is decoded until it leaves for the model.

    Holding it while decoding bounds what undecoded and decoded images take in memory. Used as a
    context manager, it is released at the end at the latest.

    Args:
        lane: in which the image waits.
        client: whose image it is.
        counted: where the place counts.
    """

    def __init__(self, lane: Lane, client: str, counted: tuple[_Places, ...]) -> None:
        self.lane, self.client = lane, client
        self._counted = counted
        for places in counted:
            places.change(client, 1)

    def release(self) -> None:
        """Frees the place; a second time changes nothing."""
        counted, self._counted = self._counted, ()
        for places in counted:
            places.change(self.client, -1)

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
        self._all = _Places(limit)
        self._lanes: dict[Lane, _Places] = {
            "interactive": _Places(limit),
            "bulk": _Places(max(1, limit // 2)),
        }
        self._costs = costs

    @property
    def taken(self) -> int:
        """Places that are not free."""
        return self._all.taken

    def share(self, lane: Lane) -> int:
        """Places of a lane that a client may hold while others hold some."""
        return self._lanes[lane].share

    def check(self, lane: Lane, seconds: float, client: str = "") -> None:
        """Refuses early, before a body is read.

        Args:
            lane: in which the image would wait.
            seconds: until its deadline.
            client: whose image it would be.

        Raises:
            QueueFullError: if no place is free for this client.
            TooBusyError: if those ahead will take longer than until the deadline.
        """
        self._check_room(lane, client)
        ahead = self._ahead(lane, client)
        forecast = self._costs().drain_seconds(ahead + 1)
        if 0 < seconds < forecast:  # a deadline that has passed is told as such
            raise TooBusyError(
                f"an answer would take about {forecast:.3g} s with {ahead} images "
                f"ahead, but {max(0.0, seconds):.3g} s are left",
                _retry_after(forecast - seconds),
            )

    def place(self, lane: Lane, seconds: float, client: str = "") -> Place:
        """Takes a place.

        Args:
            lane: in which the image waits.
            seconds: until its deadline.
            client: whose image it is.

        Raises:
            QueueFullError: if none is free for this client.
            TooBusyError: if those ahead will take longer than until the deadline.
        """
        self.check(lane, seconds, client)
        return Place(lane, client, (self._all, self._lanes[lane]))

    def _check_room(self, lane: Lane, client: str) -> None:
        everybody, places = self._all, self._lanes[lane]
        own, kind = places.held.get(client, 0), "bulk " if lane == "bulk" else ""
        clients = len(everybody.held) + (client not in everybody.held)
        if clients > 1 and own >= places.share:
            raise self._full(
                f"{own} {kind}images of this client are waiting",
                f"{places.share} while others wait",
            )
        # Who holds less than an equal part does not pay for what others took while alone.
        is_owed = clients > 1 and own < max(1, places.limit // clients)
        for some, which in ((everybody, ""), (places, kind)):
            most = (3 * some.limit + 1) // 2 if is_owed else some.limit
            if some.taken >= most:
                raise self._full(f"{some.taken} {which}images are waiting", f"{most}")

    def _full(self, who: str, most: str) -> QueueFullError:
        seconds = self._costs().drain_seconds(self.taken)
        return QueueFullError(f"{who}, and at most {most} may", _retry_after(seconds))

    def _ahead(self, lane: Lane, client: str) -> int:
        """How many images will run before a newcomer to this lane."""
        interactive, bulk = self._lanes["interactive"], self._lanes["bulk"]
        if lane == "bulk":
            return interactive.taken + bulk.ahead(client)
        ahead = interactive.ahead(client)
        return ahead + min(bulk.taken, ahead // (BULK_TURN - 1))


def _retry_after(seconds: float) -> int:
    """Whole seconds for the header, at least one."""
    return min(_LONGEST_RETRY_AFTER_SECONDS, max(1, math.ceil(seconds)))
