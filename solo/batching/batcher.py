"""Dynamic batching: gathers images of many requests into batches for one model.

A batch leaves when the model is idle, or is stacked behind those that run once it is full. How
large it is, the measured cost of a run decides; whether an idle model waits for more images, the
batch window. Whatever happens, each future is resolved, and one bad image fails alone.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from time import perf_counter

from solo.batching.admission import Admission, Place
from solo.batching.batch import Outcome, QueuedImage, Run
from solo.batching.batch_window import BatchWindow
from solo.batching.failover import Failover
from solo.batching.priority_queue import PriorityQueue
from solo.errors import DrainingError, ModelFailedError, SoloError
from solo.events import Events, Release
from solo.inference.engine import DeviceMemoryError
from solo.inference.model_runner import Canvas, ModelRunner

SELF_TEST_SECONDS = 30.0


class Batcher:
    """The queue and its model; lives in one event loop.

    Args:
        model: runs batches.
        queue_limit: number of places.
        events: told of batches, and whether the model answers.
        threads: one more than the model runs at once; None for threads of its own.
        clock: seconds, the model's own.
        self_test_seconds: after so long without a batch the self-test is run.
        on_launch: called soon after a batch has left, in time that nobody waits for.

    Attributes:
        admission: gives out the places.
        failover: what to do about a model that fails.
    """

    def __init__(
        self,
        model: ModelRunner,
        queue_limit: int,
        events: Events,
        *,
        threads: Executor | None = None,
        clock: Callable[[], float] = perf_counter,
        self_test_seconds: float = SELF_TEST_SECONDS,
        on_launch: Callable[[], object] = lambda: None,
    ) -> None:
        self._threads = threads or ThreadPoolExecutor(
            model.engine.runs_at_once + 1, thread_name_prefix="model"
        )
        self.failover = Failover(model, self._threads, events)
        self.admission = Admission(queue_limit, lambda: self.model.costs)
        self._events = events
        self._clock = clock
        self._self_test_seconds = self_test_seconds
        self._on_launch = on_launch
        self._queue: PriorityQueue[QueuedImage] = PriorityQueue()
        self._in_flight: dict[Run, asyncio.Task[None]] = {}
        self._window = BatchWindow(lambda: len(self._queue), self._advance)
        self._self_test: asyncio.Task[None] | None = None
        self._stopped = False

    @property
    def model(self) -> ModelRunner:
        """The model that new requests are for."""
        return self.failover.model

    async def start(self) -> None:
        """Warms the model up and begins to serve.

        Raises:
            Exception: whatever the warm-up raises.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, self.model.warm_up)
        self._self_test = asyncio.create_task(self._watch(), name="self-test")

    async def stop(self) -> None:
        """Resolves what still waits with an error and lets the threads go."""
        self._stopped = True
        self.abandon()
        tasks = [*self._in_flight.values(), *([self._self_test] if self._self_test else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._window.end()  # which a batch that was cancelled may have opened
        self._threads.shutdown(wait=False, cancel_futures=True)

    def abandon(self) -> None:
        """Answers everybody who waits, in the queue or in a batch, with 503."""
        in_flight = [image for batch in self._in_flight for image in batch.images]
        for image in (*self._queue, *in_flight):
            self._settle(image, DrainingError("the service stopped before the model answered"))
        self._queue.clear()

    def submit(self, canvas: Canvas, place: Place, model: ModelRunner) -> asyncio.Future[Outcome]:
        """Puts an image into the queue.

        Args:
            canvas: float32 [H, W] in [0, 1].
            place: the image's place.
            model: the batcher's model when the request came.

        Returns:
            The model's answer; cancelling it withdraws an image that has not left yet. It fails
            with `ModelFailedError` if the model fails on this image alone, and with
            `DrainingError` if the service stops first.

        Raises:
            DrainingError: if the service has stopped.
        """
        if self._stopped or self.failover.fatal is not None:
            raise DrainingError("the service stopped before the model answered")
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        image = QueuedImage(canvas, future, place, model, self._clock())
        self._queue.append(image, place.lane, place.client)
        self._advance()
        return future

    def _advance(self) -> None:
        """Lets batches leave that may; a fault in here must leave nobody waiting."""
        try:
            while self._queue and self._may_leave():
                self._launch()
        except Exception as error:
            self._break(error)

    def _may_leave(self) -> bool:
        free = self._free_slots()
        if free == 0:  # to be stacked
            return len(self._queue) >= self.model.costs.best_size
        return free > 0 and self._window.is_over

    def _free_slots(self) -> int:
        """How many more batches the model would run now; -1 where one is stacked already."""
        return self.model.engine.runs_at_once - len(self._in_flight)

    def _launch(self) -> None:
        waited = self._window.end()
        images = self._form()
        if not images:
            return
        batch = self._start_run(images)
        task = asyncio.create_task(self._complete(batch), name="batch")
        self._in_flight[batch] = task
        task.add_done_callback(self._ended)
        asyncio.get_running_loop().call_soon(self._on_launch)
        full = 1 < len(images) == images[0].model.costs.best_size
        release: Release = "wait" if waited else "full" if full else "idle"
        self._events.on_batch(len(images), release)

    def _form(self) -> list[QueuedImage]:
        """The next images that somebody still waits for, all for one model."""
        images: list[QueuedImage] = []
        share = math.ceil(len(self._queue) / max(1, self._free_slots()))
        most = self._queue.peek().model.costs.take(share)
        while self._queue and len(images) < most:
            if images and self._queue.peek().model is not images[0].model:
                break
            image = self._queue.pop()
            image.place.release()
            if not image.future.done():  # else its deadline passed or its client left
                images.append(image)
        return images

    def _start_run(self, images: list[QueuedImage]) -> Run:
        """Has a thread run a batch, at once: the model is idle."""
        model = images[0].model.fallback or images[0].model
        canvases = [image.canvas for image in images]
        loop = asyncio.get_running_loop()
        try:
            result = loop.run_in_executor(self._threads, model.run, canvases)
        except RuntimeError as error:  # there is no thread to be had
            result = loop.create_future()
            result.set_exception(error)
        return Run(images, model, model.sessions, result)

    async def _complete(self, batch: Run) -> None:
        try:
            await self._answer(batch, batch)
        finally:
            self._finish(batch)
            for image in batch.images:
                self._settle(image, ModelFailedError("the model gave no answer for this image"))

    async def _answer(self, run: Run, batch: Run) -> None:
        """Answers the images of a run of a batch, or of a part of it."""
        images, model = run.images, run.model
        try:
            result = await run.result
        except Exception as error:  # whatever the runtime raises
            await self._bisect(run, error, batch)
            return
        self.failover.note_good_run()
        if result.alone:  # others beside it make it slower, and all of them together faster
            model.costs.note(len(images), result.seconds)
        if run is batch:
            self._finish(batch)  # the next batch leaves before these answers do
        for image, answer in zip(images, result.answers, strict=True):
            queued = result.started - image.since
            found, score = answer.instances, answer.out_of_distribution
            self._settle(image, Outcome(found, queued, result.seconds, model, score))

    async def _bisect(self, run: Run, error: Exception, batch: Run) -> None:
        """Runs a failed batch's halves, and theirs, until the culprit stands alone."""
        images = run.images
        if isinstance(error, DeviceMemoryError) and len(images) > 1:
            run.model.costs.shrink(len(images))
        elif not await self.failover.examine(run.model, run.session, error):
            self.abandon()
            return
        if len(images) == 1:
            await self._try_again(run, batch)
            return
        half = len(images) // 2
        for part in (images[:half], images[half:]):
            if asked := [image for image in part if not image.future.done()]:
                await self._answer(self._start_run(asked), batch)

    async def _try_again(self, run: Run, batch: Run) -> None:
        """Runs an image once more if it was not its own fault: the session or the model is new."""
        (image,) = run.images
        unchanged = run.model.fallback is None and run.model.sessions == run.session
        if unchanged or image.tried_again:
            self._settle(image, ModelFailedError("the model failed on this image"))
            return
        image.tried_again = True
        await self._answer(self._start_run([image]), batch)

    def _finish(self, batch: Run) -> None:
        """The model is free of this batch; a second time changes nothing."""
        if self._in_flight.pop(batch, None) is None:
            return
        if not self._in_flight and not self._window.is_open:
            self._window.begin(len(batch.images), self.model.costs)
        self._advance()

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._break(error)

    def _break(self, error: BaseException) -> None:
        self.failover.fail(f"the batcher ended with {type(error).__name__}")
        self.abandon()

    async def _watch(self) -> None:
        """Runs the self-test when there is nothing else to run."""
        while self.failover.fatal is None:
            await asyncio.sleep(self._self_test_seconds)
            if not self._in_flight and not self._queue and not await self.failover.check():
                self.abandon()

    def _settle(self, image: QueuedImage, result: Outcome | SoloError) -> None:
        image.place.release()
        if image.future.done():
            return
        if isinstance(result, Outcome):
            image.future.set_result(result)
        else:
            image.future.set_exception(result)
