"""Gathers images of many requests into batches for one model.

One bounded queue, one thread that runs the model, one future for each image. A batch leaves as soon
as the model is idle: what has come meanwhile goes together. Whatever happens, each future is
resolved, and one bad image fails alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
import numpy.typing as npt

from app.errors import DrainingError, ModelFailedError, QueueFullError, ServiceError
from app.inference import Engine
from app.lifecycle import Lifecycle
from app.metrics import Metrics
from model.contract.instances import Instances

Canvas = npt.NDArray[np.float32]

_PROBE_INTERVAL_SECONDS = 5.0


@dataclass(frozen=True)
class Outcome:
    """The model's answer for one image, with the time it waited and the time its batch ran."""

    instances: Instances
    queue_seconds: float
    inference_seconds: float


@dataclass
class Place:
    """A place in the queue, held from before an image is decoded until it leaves for the model.

    Holding it while decoding bounds what undecoded and decoded images take in memory.
    """

    released: bool = False


@dataclass(eq=False)
class _Waiting:
    canvas: Canvas
    future: asyncio.Future[Outcome]
    place: Place
    since: float = field(default_factory=perf_counter)


class Batcher:
    """The queue and its model; lives in one event loop.

    Args:
        engine: runs batches, in a thread of its own.
        queue_limit: number of places.
        lifecycle: told whether the model answers.
        metrics: told of batches and of the queue's depth.
    """

    def __init__(
        self, engine: Engine, queue_limit: int, lifecycle: Lifecycle, metrics: Metrics
    ) -> None:
        self._engine = engine
        self._queue_limit = queue_limit
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._waiting: deque[_Waiting] = deque()
        self._running: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._places_taken = 0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Warms the model up and begins to serve.

        Raises:
            Exception: whatever the warm-up raises.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.warm_up)
        self._task = asyncio.create_task(self._serve(), name="batcher")
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Resolves what still waits with an error and lets the thread go."""
        self.abandon()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._thread.shutdown(wait=False, cancel_futures=True)

    def abandon(self) -> None:
        """Answers everybody who waits, in the queue or in the running batch, with 503."""
        for waiting in (*self._waiting, *self._running):
            self._settle(waiting, DrainingError("the service stopped before the model answered"))
        self._waiting.clear()

    def check_room(self) -> None:
        """Refuses early, before a body is read.

        Raises:
            QueueFullError: if no place is free.
        """
        if self._places_taken >= self._queue_limit:
            raise QueueFullError(
                f"{self._places_taken} images are waiting, and at most {self._queue_limit} may"
            )

    @contextmanager
    def place(self) -> Iterator[Place]:
        """Takes a place in the queue.

        Raises:
            QueueFullError: if none is free.
        """
        self.check_room()
        place = Place()
        self._count_places(+1)
        try:
            yield place
        finally:
            self._release(place)

    async def infer(self, canvas: Canvas, place: Place) -> Outcome:
        """Waits for the model's answer; cancelling withdraws an image that has not left yet.

        Args:
            canvas: float32 [H, W] in [0, 1].
            place: the image's place.

        Raises:
            ModelFailedError: if the model fails on this image alone.
            DrainingError: if the service stops first.
        """
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(canvas, future, place))
        self._arrived.set()
        return await future

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.abandon()
            self._lifecycle.fail(f"the batcher ended with {type(task.exception()).__name__}")

    async def _serve(self) -> None:
        while True:
            timeout = None if self._lifecycle.model_answers else _PROBE_INTERVAL_SECONDS
            try:
                async with asyncio.timeout(timeout):
                    await self._arrived.wait()
            except TimeoutError:
                await self._probe()
            batch = self._form()
            if batch:
                await self._run(batch)

    def _form(self) -> list[_Waiting]:
        """The oldest images that somebody still waits for, up to the largest batch size."""
        largest = self._engine.batch_sizes[-1]
        batch = self._running = []  # from here on `abandon` finds them there
        while self._waiting and len(batch) < largest:
            waiting = self._waiting.popleft()
            self._release(waiting.place)
            if not waiting.future.done():  # else its deadline passed or its client left
                batch.append(waiting)
        if not self._waiting:
            self._arrived.clear()
        if batch:
            self._metrics.observe_batch(len(batch), "full" if len(batch) == largest else "idle")
        return batch

    async def _run(self, batch: list[_Waiting]) -> None:
        try:
            await self._split_and_run(batch)
        finally:
            self._running = []
            for waiting in batch:
                self._settle(waiting, ModelFailedError("the model gave no answer for this image"))

    async def _split_and_run(self, batch: list[_Waiting]) -> None:
        """Runs a batch, and its halves if it fails, until the culprit stands alone."""
        batch = [waiting for waiting in batch if not waiting.future.done()]
        if not batch:
            return
        started = perf_counter()
        try:
            answers = await self._infer([waiting.canvas for waiting in batch])
        except Exception:  # whatever the runtime raises
            if len(batch) == 1:
                self._settle(batch[0], ModelFailedError("the model failed on this image"))
                await self._probe()
                return
            half = len(batch) // 2
            await self._split_and_run(batch[:half])
            await self._split_and_run(batch[half:])
            return
        seconds = perf_counter() - started
        for waiting, instances in zip(batch, answers, strict=True):
            self._settle(waiting, Outcome(instances, started - waiting.since, seconds))

    async def _probe(self) -> None:
        """Tells a model that failed on one image from one that fails on all, by an empty image."""
        try:
            await self._infer([np.zeros(self._engine.manifest.canvas_size, np.float32)])
        except Exception:  # `_infer` has noted it
            return

    async def _infer(self, canvases: list[Canvas]) -> list[Instances]:
        def run() -> list[Instances]:
            return self._engine.run(np.stack(canvases)[:, None])

        try:
            answers = await asyncio.get_running_loop().run_in_executor(self._thread, run)
        except Exception:
            self._lifecycle.note_model(answers=False)
            raise
        self._lifecycle.note_model(answers=True)
        return answers

    def _settle(self, waiting: _Waiting, result: Outcome | ServiceError) -> None:
        self._release(waiting.place)
        if waiting.future.done():
            return
        if isinstance(result, Outcome):
            waiting.future.set_result(result)
        else:
            waiting.future.set_exception(result)

    def _release(self, place: Place) -> None:
        if not place.released:
            place.released = True
            self._count_places(-1)

    def _count_places(self, change: int) -> None:
        self._places_taken += change
        self._metrics.queue_depth.set(self._places_taken)
