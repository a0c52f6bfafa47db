"""Turns at something that few can use at once, such as decoders: clients have them in turn."""

from __future__ import annotations

import asyncio
from collections import Counter
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
        self._taken: Counter[str] = Counter()
        self._waiting: PriorityQueue[tuple[str, asyncio.Future[None]]] = PriorityQueue()
        self._seen = [("", float("-inf"))] * 2  # the last two clients, the latest first

    async def take(self, lane: Lane, client: str) -> None:
        """Waits for a turn; `give` ends it.

        Raises:
            asyncio.CancelledError: after `close`.
        """
        self._see(client)
        called = asyncio.get_running_loop().create_future()
        self._waiting.append((client, called), lane, client)
        self._call()
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
        while self._free and self._waiting and (found := self._waiting.pop_of(self._may)):
            client, called = found
            if not called.done():  # else nobody waits there any more
                called.set_result(None)
                self._free -= 1
                self._taken[client] += 1

    def _see(self, client: str) -> None:
        now = asyncio.get_running_loop().time()
        self._seen = [(client, now), *(one for one in self._seen if one[0] != client)][:2]

    def _may(self, client: str) -> bool:
        return self._taken[client] < max(1, self._at_once - self._is_accompanied(client))

    def _is_accompanied(self, client: str) -> bool:
        now = asyncio.get_running_loop().time()
        return any(one != client and now - at < _AROUND_SECONDS for one, at in self._seen)
