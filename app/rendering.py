"""Rendering of answers in threads of their own, in steps, for as long as somebody waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from threading import Event
from typing import Final

from solo.batching.priority_queue import Lane
from solo.batching.turns import Turns
from solo.errors import DeadlineError, DrainingError

Rendering = Generator[None, None, bytes]
"""Makes an answer; yields after each step, where it may be left."""
_FILMS_A_THREAD: Final = 4  # that decode, infer or are drawn; each may take 50 MB


def complete(rendering: Rendering) -> bytes:
    """Takes all steps."""
    while True:
        try:
            next(rendering)
        except StopIteration as done:
            return bytes(done.value)


class Renderer:
    """Renders answers in threads that nothing else waits for; lives in one event loop.

    Clients have both the places for films and the threads in turn.

    Args:
        threads: how many.
    """

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="render")
        self._films = Turns(_FILMS_A_THREAD * threads)
        self._turns = Turns(threads)
        self._running: set[asyncio.Future[bytes]] = set()
        self._stopped = False

    def film(self, deadline: float, lane: Lane, client: str) -> AbstractAsyncContextManager[None]:
        """Waits for one of the few places for films whose pixels are kept until they are drawn.

        Args:
            deadline: event loop time by which it must be free.
            lane: `bulk` takes what `interactive` leaves.
            client: whose film it is.

        Raises:
            DeadlineError: if it is not.
            DrainingError: if the renderer has stopped.
        """
        return self._turn(self._films, deadline, lane, client)

    async def run(self, rendering: Rendering, deadline: float, lane: Lane, client: str) -> bytes:
        """Renders in a thread; if nobody waits any more, that ends with the step it is at.

        Args:
            rendering: what is to be done.
            deadline: event loop time by which it must be done.
            lane: `bulk` takes what `interactive` leaves.
            client: whose answer it is.

        Raises:
            DeadlineError: if it is not.
            DrainingError: if the renderer has stopped.
        """
        async with self._turn(self._turns, deadline, lane, client):
            left = Event()
            running = asyncio.get_running_loop().run_in_executor(
                self._threads, lambda: complete(_until(left, rendering))
            )
            self._running.add(running)
            try:
                async with self._until_stopped(), _within(deadline):
                    return await running
            finally:
                left.set()
                self._running.discard(running)

    def stop(self) -> None:
        """Answers everybody who waits with `DrainingError`; no more is rendered."""
        self._stopped = True
        for turns in (self._films, self._turns):
            turns.close()
        for running in self._running:
            running.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def _turn(
        self, turns: Turns, deadline: float, lane: Lane, client: str
    ) -> AsyncIterator[None]:
        self._check()
        async with self._until_stopped(), _within(deadline):
            await turns.take(lane, client)
        try:
            self._check()
            yield
        finally:
            turns.give(client)

    @asynccontextmanager
    async def _until_stopped(self) -> AsyncIterator[None]:
        try:
            yield
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not (task and task.cancelling()):  # what it waited for was taken away
                self._check()
            raise

    def _check(self) -> None:
        if self._stopped:
            raise DrainingError("the service stopped before the answer was rendered")


def _until(left: Event, rendering: Rendering) -> Rendering:
    """The same steps, until everybody has left."""
    while not left.is_set():
        try:
            yield next(rendering)
        except StopIteration as done:
            return bytes(done.value)
    return b""


@asynccontextmanager
async def _within(deadline: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout_at(deadline):
            yield
    except TimeoutError:
        raise DeadlineError("the answer was not rendered before the deadline") from None
