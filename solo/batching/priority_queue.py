"""Priority queue of two lanes, with fair queueing between the clients of each.

Interactive comes before bulk, but for a share that bulk always has. Within a lane the clients are
served in rounds, one item each (round robin; Nagle, RFC 970), so that one client's many items delay
another's single one by at most one of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Generic, Literal, TypeVar

T = TypeVar("T")

Lane = Literal["interactive", "bulk"]

BULK_TURN: Final = 8
"""While both lanes wait, each eighth image is of the bulk lane, so that it moves on."""
_MOST_IN_A_ROUND: Final = 256


class _Rounds(Generic[T]):
    """A lane: first come, first served for one client, and round robin between clients.

    Who has had a turn in this round waits for the next one, also if nothing else of it waits:
    else it would be a newcomer each time. A newcomer still has its turn in this round, but for the
    case that newcomers alone would make it endless; then nobody is kept of whom nothing waits.
    """

    def __init__(self) -> None:
        self._now: dict[str, deque[T]] = {}  # in order; each queue holds something
        self._next: dict[str, deque[T]] = {}
        self.waiting = 0

    def append(self, item: T, client: str) -> None:
        queue = self._now.get(client)
        if queue is None:
            queue = self._next.get(client)
        if queue is None:
            endless = len(self._next) >= _MOST_IN_A_ROUND
            queue = (self._next if endless else self._now).setdefault(client, deque())
        queue.append(item)
        self.waiting += 1

    def first(self, may: Callable[[str], bool] | None = None) -> str | None:
        """The client whose turn it is, of those that may have one."""
        if not self._now:  # this round is over
            self._now = {who: queue for who, queue in self._next.items() if queue}
            self._next = {}
        for clients in (self._now, self._next):
            for client, queue in clients.items():
                if queue and (may is None or may(client)):
                    return client
        return None

    def peek(self, client: str) -> T:
        return (self._now.get(client) or self._next[client])[0]

    def pop(self, client: str) -> T:
        queue = self._now.pop(client, None) or self._next.pop(client)
        item = queue.popleft()
        if queue or len(self._next) < _MOST_IN_A_ROUND:
            self._next[client] = queue
        self.waiting -= 1
        return item

    def __iter__(self) -> Iterator[T]:
        for queue in (*self._now.values(), *self._next.values()):
            yield from queue


class PriorityQueue(Generic[T]):
    """Clients in turn within a lane; interactive before bulk, but for bulk's own turn."""

    def __init__(self) -> None:
        self._interactive: _Rounds[T] = _Rounds()
        self._bulk: _Rounds[T] = _Rounds()
        self._since_bulk = 0

    def __len__(self) -> int:
        return self._interactive.waiting + self._bulk.waiting

    def __iter__(self) -> Iterator[T]:
        yield from self._interactive
        yield from self._bulk

    def append(self, item: T, lane: Lane, client: str = "") -> None:
        """Puts an item behind those of its client in its lane."""
        (self._bulk if lane == "bulk" else self._interactive).append(item, client)

    def peek(self) -> T:
        """The item that `pop` would give.

        Raises:
            IndexError: if both lanes are empty.
        """
        lane = self._next_lane()
        client = lane.first()
        if client is None:
            raise IndexError("nothing waits")
        return lane.peek(client)

    def pop(self, may: Callable[[str], bool] | None = None) -> T:
        """Takes the next item out.

        Args:
            may: tells which clients may have a turn; None lets all.

        Raises:
            IndexError: if both lanes are empty, or nobody who waits may.
        """
        next_lane = self._next_lane()
        for lane in (
            next_lane,
            self._bulk if next_lane is self._interactive else self._interactive,
        ):
            client = lane.first(may)
            if client is not None:
                passed_over = lane is self._interactive and self._bulk.waiting
                self._since_bulk = self._since_bulk + 1 if passed_over else 0
                return lane.pop(client)
        raise IndexError("nothing waits that may have a turn")

    def clear(self) -> None:
        """Forgets all items."""
        self._interactive, self._bulk = _Rounds(), _Rounds()

    def _next_lane(self) -> _Rounds[T]:
        if not self._bulk.waiting:
            return self._interactive
        if not self._interactive.waiting or self._since_bulk >= BULK_TURN - 1:
            return self._bulk
        return self._interactive
