"""Turns at something that few can use at once, such as decoders: clients have them in turn."""

from __future__ import annotations

import asyncio

from solo.batching.priority_queue import Lane, PriorityQueue


class Turns:
    """A semaphore of one event loop with fair queueing: the next turn is the next client's.

    Args:
        at_once: most turns that are taken at the same time.
    """

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: PriorityQueue[asyncio.Future[None]] = PriorityQueue()

    async def take(self, lane: Lane, client: str) -> None:
        """Waits for a turn; `give` ends it.

        Raises:
            asyncio.CancelledError: after `close`.
        """
        called = asyncio.get_running_loop().create_future()
        self._waiting.append(called, lane, client)
        if self._free:  # nobody else waits; that this client has had a turn counts all the same
            self._free -= 1
            self._waiting.pop()
            return
        try:
            await called
        except asyncio.CancelledError:
            if not called.cancelled():  # it was called at the same moment
                self.give()
            raise

    def give(self) -> None:
        """Ends a turn: it is the next one's."""
        while self._waiting:
            called = self._waiting.pop()
            if not called.done():  # else nobody waits there any more
                called.set_result(None)
                return
        self._free += 1

    def close(self) -> None:
        """Cancels everybody who waits."""
        for called in self._waiting:
            called.cancel()
