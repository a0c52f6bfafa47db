"""Turns at something that few can use at once, such as decoders: clients have them in turn."""

from __future__ import annotations

import asyncio
from typing import Final

from solo.batching.priority_queue import Lane, PriorityQueue

_AROUND_SECONDS: Final = 2.0


class Turns:
    """A semaphore of one event loop with fair queueing: the next turn is the next client's.

    While a client is not alone it leaves one turn free, if there is more than one: who sends a film
    now and then does not wait for another's heavy one. It is alone when no other has asked for a
    turn or ended one within the last two seconds.

    Args:
        at_once: most turns that are taken at the same time.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = self._free = at_once
        self._taken: dict[str, int] = {}
        self._waiting: PriorityQueue[tuple[str, asyncio.Future[None]]] = PriorityQueue()
        # Who was seen last, when, and when anybody else was.
        self._latest = ""
        self._latest_seen = self._other_seen = float("-inf")

    async def take(self, lane: Lane, client: str) -> None:
        """Waits for a turn; `give` ends it.

        Raises:
            asyncio.CancelledError: after `close`.
        """
        self._see(client)
        called = asyncio.get_running_loop().create_future()
        self._waiting.append((client, called), lane, client)
        if self._free:
            self._call()
        if called.done():
            return
        try:
            await called
        except asyncio.CancelledError:
            if not called.cancelled():  # it was called at the same moment
                self.give(client)
            raise

    def give(self, client: str) -> None:
        """Ends a client's turn: it is the next one's."""
        self._see(client)
        self._free += 1
        self._taken[client] -= 1
        if not self._taken[client]:
            del self._taken[client]
        self._call()

    def close(self) -> None:
        """Cancels everybody who waits."""
        for _, called in self._waiting:
            called.cancel()

    def _call(self) -> None:
        while self._free and self._waiting:
            try:
                client, called = self._waiting.pop(self._may)
            except IndexError:
                return
            if not called.done():  # else nobody waits there any more
                called.set_result(None)
                self._free -= 1
                self._taken[client] = self._taken.get(client, 0) + 1

    def _see(self, client: str) -> None:
        if client != self._latest:
            self._latest, self._other_seen = client, self._latest_seen
        self._latest_seen = asyncio.get_running_loop().time()

    def _may(self, client: str) -> bool:
        """Whether a client may have one more turn."""
        taken = self._taken.get(client, 0)
        if taken < max(1, self._at_once - 1):
            return True
        seen = self._latest_seen if client != self._latest else self._other_seen
        now = asyncio.get_running_loop().time()
        return taken < self._at_once and now - seen >= _AROUND_SECONDS
