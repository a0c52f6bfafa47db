"""A running batcher for tests, with everything that it tells."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import numpy.typing as npt

from solo.batching.batch import Outcome
from solo.batching.batcher import Batcher
from solo.batching.priority_queue import Lane
from solo.events import Events, Release, Reload
from solo.inference.engine import ModelIdentity
from solo.inference.model_runner import ModelRunner
from solo.result import Result
from tests.support.engines import CANVAS, FakeEngine


class Told(Events):
    """Keeps all that it hears.

    Attributes:
        batches: size of each.
        releases: how often batches left for which reason.
        reloads: how often a hot reload ended how.
        models: that were announced.
        answers: whether the model answered, when it was last said.
        fatal: why the process has to end, or None.
        sessions_reopened: how often.
        results: of images.
    """

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.releases: Counter[Release] = Counter()
        self.reloads: Counter[Reload] = Counter()
        self.models: list[ModelIdentity] = []
        self.answers = True
        self.fatal: str | None = None
        self.sessions_reopened = 0
        self.results: list[Result] = []

    def on_result(self, result: Result) -> None:
        self.results.append(result)

    def on_batch(self, size: int, release: Release) -> None:
        self.batches.append(size)
        self.releases[release] += 1

    def on_model(self, model: ModelIdentity) -> None:
        self.models.append(model)

    def on_health(self, answers: bool) -> None:
        self.answers = answers

    def on_failure(self, reason: str) -> None:
        self.fatal = reason

    def on_session_reopened(self) -> None:
        self.sessions_reopened += 1

    def on_reload(self, outcome: Reload) -> None:
        self.reloads[outcome] += 1


class Rig:
    """A batcher on an engine made of Python; `told` hears its events."""

    def __init__(self, engine: FakeEngine, queue_limit: int, self_test_seconds: float) -> None:
        self.engine = engine
        self.told = Told()
        self.batcher = Batcher(
            ModelRunner(engine, engine.clock),
            queue_limit,
            self.told,
            clock=engine.clock,
            self_test_seconds=self_test_seconds,
        )

    @property
    def ready(self) -> bool:
        return self.told.answers and self.told.fatal is None

    async def ask(self, grey: float, lane: Lane = "interactive") -> Outcome:
        with self.batcher.admission.place(lane, 60) as place:
            canvas = np.full(CANVAS, grey, np.float32)
            return await self.batcher.submit(canvas, place, self.batcher.model)

    async def ask_all(self, *greys: float) -> list[Outcome | BaseException]:
        return await asyncio.gather(*map(self.ask, greys), return_exceptions=True)

    def submit(self, *greys: float) -> list[asyncio.Task[Outcome]]:
        return [asyncio.create_task(self.ask(grey)) for grey in greys]


@asynccontextmanager
async def running(
    engine: FakeEngine, queue_limit: int = 100, self_test_seconds: float = 1e6
) -> AsyncIterator[Rig]:
    rig = Rig(engine, queue_limit, self_test_seconds)
    await rig.batcher.start()
    try:
        yield rig
    finally:
        await rig.batcher.stop()


class Gate:
    """Holds the model's thread until it is opened."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()

    def __call__(self, _: npt.NDArray[np.float32]) -> None:
        self.entered.set()
        assert self.opened.wait(10)

    async def reached(self) -> None:
        assert await asyncio.to_thread(self.entered.wait, 10)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)
