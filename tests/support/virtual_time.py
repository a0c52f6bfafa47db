"""An event loop whose clock jumps to the next timer, and a model that takes its time on it."""

from __future__ import annotations

import asyncio
import selectors
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, TypeVar

from tests.support.engines import FakeEngine

T = TypeVar("T")


class _Jumping(selectors.SelectSelector):
    """Does not wait: what would be waited for is added to the time."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing will ever happen again"
        self.now += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time passes where everybody waits, and in `work`."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def work(self, seconds: float) -> None:
        """Computes for so long, as a callback does that keeps everybody waiting."""
        self._jumping.now += seconds


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine on a virtual clock."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


class VirtualThreads(Executor):
    """Runs one job after the other; each ends as much later as its engine's clock went on.

    Args:
        engine: whose clock tells what a job took.
    """

    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self._jobs: deque[Callable[[], None]] = deque()
        self._busy = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()

        def begin() -> None:
            started = self._engine.clock()
            try:
                settle = partial(future.set_result, fn(*args, **kwargs))
            except Exception as error:
                settle = partial(future.set_exception, error)
            seconds = self._engine.clock() - started
            asyncio.get_running_loop().call_later(seconds, self._end, settle)

        self._jobs.append(begin)
        self._go_on()
        return future

    def _end(self, settle: Callable[[], None]) -> None:
        settle()
        self._busy = False
        self._go_on()

    def _go_on(self) -> None:
        if self._jobs and not self._busy:
            self._busy = True
            self._jobs.popleft()()
