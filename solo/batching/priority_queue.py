"""Priority queue of two lanes: interactive before bulk, but for a share that bulk always has."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final, Generic, Literal, TypeVar

T = TypeVar("T")

Lane = Literal["interactive", "bulk"]

BULK_TURN: Final = 8
"""While both lanes wait, each eighth image is of the bulk lane, so that it moves on."""


class PriorityQueue(Generic[T]):
    """First come, first served within a lane; interactive before bulk, but for bulk's own turn."""

    def __init__(self) -> None:
        self._queues: dict[Lane, deque[T]] = {"interactive": deque(), "bulk": deque()}
        self._since_bulk = 0

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def __iter__(self) -> Iterator[T]:
        for queue in self._queues.values():
            yield from queue

    def append(self, item: T, lane: Lane) -> None:
        """Puts an item at the end of its lane."""
        self._queues[lane].append(item)

    def peek(self) -> T:
        """The item that `pop` would give.

        Raises:
            IndexError: if both lanes are empty.
        """
        return self._queues[self._next_lane()][0]

    def pop(self) -> T:
        """Takes the next item out.

        Raises:
            IndexError: if both lanes are empty.
        """
        lane = self._next_lane()
        item = self._queues[lane].popleft()
        passed_over = lane == "interactive" and self._queues["bulk"]
        self._since_bulk = self._since_bulk + 1 if passed_over else 0
        return item

    def clear(self) -> None:
        """Forgets all items."""
        for queue in self._queues.values():
            queue.clear()

    def _next_lane(self) -> Lane:
        if not self._queues["bulk"]:
            return "interactive"
        if not self._queues["interactive"] or self._since_bulk >= BULK_TURN - 1:
            return "bulk"
        return "interactive"
