"""Gathers images of many requests into batches for one model.

A batch leaves when the model is idle, or is stacked behind those that run once it is full. How
large it is, the model's measured run times decide; whether an idle model waits for company,
`company.py`. Whatever happens, each future is resolved, and one bad image fails alone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from time import perf_counter

from app.lifecycle import Lifecycle
from app.metrics import Metrics, Release
from solo.batching.admission import Admission, Place
from solo.batching.batch import Attempt, Flight, Outcome, Waiting
from solo.batching.batch_window import Company
from solo.batching.failover import Recovery
from solo.batching.priority_queue import Lanes
from solo.errors import DrainingError, ModelFailedError, ServiceError
from solo.inference.engine import DeviceMemoryError
from solo.inference.model_runner import Canvas, ServedModel

CANARY_SECONDS = 30.0


class Batcher:
    """The queue and its model; lives in one event loop.

    Args:
        model: runs batches.
        queue_limit: number of places.
        lifecycle: told whether the model answers.
        metrics: told of batches and of the queue's depth.
        threads: one more than the model runs at once; None for threads of its own.
        clock: seconds, the model's own.
        canary_seconds: after so long without a batch the golden film is run.

    Attributes:
        admission: gives out the places.
    """

    def __init__(
        self,
        model: ServedModel,
        queue_limit: int,
        lifecycle: Lifecycle,
        metrics: Metrics,
        *,
        threads: Executor | None = None,
        clock: Callable[[], float] = perf_counter,
        canary_seconds: float = CANARY_SECONDS,
    ) -> None:
        self._threads = threads or ThreadPoolExecutor(
            model.engine.runs_at_once + 1, thread_name_prefix="model"
        )
        self._recovery = Recovery(model, self._threads, lifecycle, metrics)
        self.admission = Admission(queue_limit, lambda: self.model.times, metrics)
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._clock = clock
        self._canary_seconds = canary_seconds
        self._lanes: Lanes[Waiting] = Lanes()
        self._flights: dict[Flight, asyncio.Task[None]] = {}
        self._company = Company(lambda: len(self._lanes), self._advance)
        self._canary: asyncio.Task[None] | None = None
        self._stopped = False

    @property
    def model(self) -> ServedModel:
        """The model that new requests are for."""
        return self._recovery.model

    async def start(self) -> None:
        """Warms the model up and begins to serve.

        Raises:
            Exception: whatever the warm-up raises.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self.model.warm_up)
        self._canary = asyncio.create_task(self._watch(), name="canary")

    async def stop(self) -> None:
        """Resolves what still waits with an error and lets the threads go."""
        self._stopped = True
        self.abandon()
        tasks = [*self._flights.values(), *([self._canary] if self._canary else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._threads.shutdown(wait=False, cancel_futures=True)

    def abandon(self) -> None:
        """Answers everybody who waits, in the queue or in a batch, with 503."""
        flying = [waiting for flight in self._flights for waiting in flight.batch]
        for waiting in (*self._lanes, *flying):
            self._settle(waiting, DrainingError("the service stopped before the model answered"))
        self._lanes.clear()

    def replace(self, model: ServedModel) -> None:
        """Lets another model answer the requests to come; those that are here keep theirs.

        Args:
            model: warm, and of the same canvas and classes.
        """
        self._recovery.adopt(model)

    def submit(
        self,
        canvas: Canvas,
        place: Place,
        model: ServedModel,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> asyncio.Future[Outcome]:
        """Puts an image into the queue.

        Args:
            canvas: float32 [H, W] in [0, 1].
            place: the image's place.
            model: the batcher's model when the request came.
            meanwhile: work that the answer needs, short and without faults. It is done when the
                image has left, in time that nobody waits for; not at all for one that never does.

        Returns:
            The model's answer; cancelling it withdraws an image that has not left yet. It fails
            with `ModelFailedError` if the model fails on this image alone, and with
            `DrainingError` if the service stops first.

        Raises:
            DrainingError: if the service has stopped.
        """
        if self._stopped or self._lifecycle.fatal is not None:
            raise DrainingError("the service stopped before the model answered")
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        waiting = Waiting(canvas, future, place, model, self._clock(), meanwhile)
        self._lanes.append(waiting, place.lane)
        self._advance()
        return future

    def _advance(self) -> None:
        """Lets batches leave that may; a fault in here must leave nobody waiting."""
        try:
            while self._may_leave():
                self._launch()
        except Exception as error:
            self._break(error)

    def _may_leave(self) -> bool:
        waiting, free = len(self._lanes), self._free_runs()
        if not waiting or free < 0:
            return False
        if free == 0:  # to be stacked
            return waiting >= self.model.times.best_size
        return self._company.complete

    def _free_runs(self) -> int:
        """How many more batches the model would run now; -1 where one is stacked already."""
        return self.model.engine.runs_at_once - len(self._flights)

    def _launch(self) -> None:
        waited = self._company.end()
        batch = self._form()
        if not batch:
            return
        flight = Flight(batch)
        task = asyncio.create_task(self._fly(flight, self._depart(batch)), name="batch")
        self._flights[flight] = task
        task.add_done_callback(self._ended)
        asyncio.get_running_loop().call_soon(flight.use_the_time)
        full = 1 < len(batch) == batch[0].model.times.best_size
        reason: Release = "wait" if waited else "full" if full else "idle"
        self._metrics.observe_batch(len(batch), reason)

    def _form(self) -> list[Waiting]:
        """The next images that somebody still waits for, all for one model."""
        batch: list[Waiting] = []
        share = math.ceil(len(self._lanes) / max(1, self._free_runs()))
        most = self._lanes.peek().model.times.take(share)
        while self._lanes and len(batch) < most:
            if batch and self._lanes.peek().model is not batch[0].model:
                break
            waiting = self._lanes.pop()
            waiting.place.release()
            if not waiting.future.done():  # else its deadline passed or its client left
                batch.append(waiting)
        return batch

    def _depart(self, batch: list[Waiting]) -> Attempt:
        """Has a thread run a batch, at once: the model is idle."""
        model = batch[0].model.stands_in or batch[0].model
        canvases = [waiting.canvas for waiting in batch]
        loop = asyncio.get_running_loop()
        try:
            run = loop.run_in_executor(self._threads, model.run, canvases)
        except RuntimeError as error:  # there is no thread to be had
            run = loop.create_future()
            run.set_exception(error)
        return Attempt(batch, model, model.sessions, run)

    async def _fly(self, flight: Flight, attempt: Attempt) -> None:
        try:
            await self._answer(attempt, flight)
        finally:
            self._land(flight)
            for waiting in flight.batch:
                self._settle(waiting, ModelFailedError("the model gave no answer for this image"))

    async def _answer(self, attempt: Attempt, flight: Flight) -> None:
        """Answers the images of a run of a flight's batch, or of a part of it."""
        batch, model = attempt.batch, attempt.model
        try:
            run = await attempt.run
        except Exception as error:  # whatever the runtime raises
            await self._rescue(attempt, error, flight)
            return
        self._recovery.note_good_run()
        if run.alone:  # others beside it make it slower, and all of them together faster
            model.times.note(len(batch), run.seconds)
        if batch is flight.batch:
            self._land(flight)  # the next batch leaves before these answers do
        for waiting, instances in zip(batch, run.answers, strict=True):
            queued = run.started - waiting.since
            self._settle(waiting, Outcome(instances, queued, run.seconds, model))

    async def _rescue(self, attempt: Attempt, error: Exception, flight: Flight) -> None:
        """Runs a failed batch's halves, and theirs, until the culprit stands alone."""
        batch = attempt.batch
        if isinstance(error, DeviceMemoryError) and len(batch) > 1:
            attempt.model.times.shrink(len(batch))
        elif not await self._recovery.examine(attempt.model, attempt.session, error):
            self.abandon()
            return
        if len(batch) == 1:
            await self._try_again(attempt, flight)
            return
        half = len(batch) // 2
        for part in (batch[:half], batch[half:]):
            if asked := [waiting for waiting in part if not waiting.future.done()]:
                await self._answer(self._depart(asked), flight)

    async def _try_again(self, attempt: Attempt, flight: Flight) -> None:
        """Runs an image once more if it was not its own fault: the session or the model is new."""
        (waiting,) = attempt.batch
        unchanged = attempt.model.stands_in is None and attempt.model.sessions == attempt.session
        if unchanged or waiting.tried_again:
            self._settle(waiting, ModelFailedError("the model failed on this image"))
            return
        waiting.tried_again = True
        await self._answer(self._depart([waiting]), flight)

    def _land(self, flight: Flight) -> None:
        """The model is free of this batch; a second time changes nothing."""
        if self._flights.pop(flight, None) is None:
            return
        if not self._flights and not self._company.expected:
            self._company.begin(len(flight.batch), self.model.times)
        self._advance()

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._break(error)

    def _break(self, error: BaseException) -> None:
        self._lifecycle.fail(f"the batcher ended with {type(error).__name__}")
        self.abandon()

    async def _watch(self) -> None:
        """Runs the golden film when there is nothing else to run."""
        while self._lifecycle.fatal is None:
            await asyncio.sleep(self._canary_seconds)
            if not self._flights and not self._lanes and not await self._recovery.check():
                self.abandon()

    def _settle(self, waiting: Waiting, result: Outcome | ServiceError) -> None:
        waiting.place.release()
        if waiting.future.done():
            return
        if isinstance(result, Outcome):
            waiting.future.set_result(result)
        else:
            waiting.future.set_exception(result)
