"""Priority queue of two lanes, with fair queueing between the clients of each.

Interactive comes before bulk, but for a share that bulk always has. Within a lane the clients are
served in rounds, one item each (round robin; Nagle, RFC 970), so that one client's many items delay
another's single one by at most one of them.
"""

from __future__ import annotations

from collections import OrderedDict, deque
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
        self._now: OrderedDict[str, deque[T]] = OrderedDict()  # all of whose queues hold something
        self._next: OrderedDict[str, deque[T]] = OrderedDict()
        self.waiting = 0

    def append(self, item: T, client: str) -> None:
        queue = self._now.get(client) or self._next.get(client)
        if queue is None:
            queue = (self._next if self._is_endless else self._now).setdefault(client, deque())
        queue.append(item)
        self.waiting += 1

    def peek(self) -> T:
        self._go_on()
        for queue in self._now.values():
            return queue[0]
        raise IndexError("nothing waits")

    def pop(self) -> T:
        item = self.peek()
        client, queue = self._now.popitem(last=False)
        queue.popleft()
        if queue or not self._is_endless:
            self._next[client] = queue
        self.waiting -= 1
        return item

    def promote(self, may: Callable[[str], bool]) -> bool:
        """Puts the first client first that may have a turn; returns whether there is one."""
        self._go_on()
        for clients in (self._now, self._next):
            for client, queue in clients.items():
                if queue and may(client):
                    self._now[client] = clients.pop(client)
                    self._now.move_to_end(client, last=False)
                    return True
        return False

    @property
    def _is_endless(self) -> bool:
        return len(self._next) >= _MOST_IN_A_ROUND

    def _go_on(self) -> None:
        """Begins the next round when this one is over."""
        if not self._now:
            self._now = OrderedDict((who, queue) for who, queue in self._next.items() if queue)
            self._next = OrderedDict()

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
        return self._next_lane().peek()

    def pop(self) -> T:
        """Takes the next item out.

        Raises:
            IndexError: if both lanes are empty.
        """
        return self._pop(self._next_lane())

    def _pop(self, lane: _Rounds[T]) -> T:
        item = lane.pop()
        passed_over = lane is self._interactive and self._bulk.waiting
        self._since_bulk = self._since_bulk + 1 if passed_over else 0
        return item

    def pop_of(self, may: Callable[[str], bool]) -> T | None:
        """Takes the next item out whose client may have a turn; None if there is none."""
        lane = self._next_lane()
        for one in (lane, self._bulk if lane is self._interactive else self._interactive):
            if one.promote(may):
                return self._pop(one)
        return None

    def clear(self) -> None:
        """Forgets all items."""
        self._interactive, self._bulk = _Rounds(), _Rounds()

    def _next_lane(self) -> _Rounds[T]:
        if not self._bulk.waiting:
            return self._interactive
        if not self._interactive.waiting or self._since_bulk >= BULK_TURN - 1:
            return self._bulk
        return self._interactive
