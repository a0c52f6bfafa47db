"""Hot reload: another model is loaded, warmed, compared and swapped in; no request is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from solo.batching.batcher import Batcher
from solo.events import Events
from solo.inference.engine import Engine, ModelError
from solo.inference.model_runner import ModelRunner
from solo.inference.self_test import OTHER_MODEL

_logger = logging.getLogger(__name__)


class HotReload:
    """Opens the model anew when asked to and, if it passes the comparison, lets it answer.

    Requests that have begun are answered by the model that served when they came. The old model is
    kept until its successor has proved itself; see `Failover`.

    Args:
        open_engine: opens the model that is set now; blocks.
        batcher: whose model is replaced.
        events: told of the outcome.
    """

    def __init__(self, open_engine: Callable[[], Engine], batcher: Batcher, events: Events) -> None:
        self._open_engine = open_engine
        self._batcher = batcher
        self._events = events
        self._task: asyncio.Task[None] | None = None
        self._asked_again = False

    def begin(self) -> None:
        """Starts a reload; one that is going on is left to end, and then another follows.

        The file may be another by now than the one that it has opened.
        """
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run_all(), name="hot-reload")
        else:
            self._asked_again = True
            _logger.info("reload follows the one that is going on")

    async def _run_all(self) -> None:
        await self.run()
        while self._asked_again:
            self._asked_again = False
            await self.run()

    async def run(self) -> bool:
        """Replaces the model, or leaves everything as it was.

        Returns:
            Whether another model answers now.
        """
        serving = self._batcher.model
        # A thread of its own: the one that decodes and the one that runs the model have work.
        threads = ThreadPoolExecutor(1, thread_name_prefix="successor")
        try:
            loop = asyncio.get_running_loop()
            successor = await loop.run_in_executor(threads, self._prepare, serving)
            if self._batcher.model is not serving:
                raise ModelError("the model that it was compared with no longer serves")
        except Exception as error:
            # It ran on drawn images alone, so that its words can hold nothing of a patient.
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            _logger.warning("model refused", extra={"fields": {"reason": reason}})
            self._events.on_reload("refused")
            return False
        finally:
            threads.shutdown(wait=False)
        self._batcher.failover.adopt(successor)
        self._events.on_reload("swapped")
        _logger.info("model replaced", extra={"fields": {"sha256": successor.engine.sha256}})
        return True

    def _prepare(self, serving: ModelRunner) -> ModelRunner:
        """Opens, warms and compares; blocks.

        Raises:
            ModelError: if the new model answers other questions.
            InferenceError: if it sees other objects in the self-test image.
            Exception: whatever opening and running it raises.
        """
        old, new = serving.engine, self._open_engine()
        if new.sha256 == old.sha256:
            raise ModelError("it is the model that serves already")
        for name in ("canvas_size", "class_names", "category_ids"):
            if getattr(new.manifest, name) != getattr(old.manifest, name):
                raise ModelError(f"its {name} is another: start a service of its own for it")
        if new.provider != old.provider:
            raise ModelError(f"it runs on {new.provider}, and not on {old.provider}")
        successor = ModelRunner(new)
        successor.warm_up()
        serving.self_test.check(successor.self_test.instances, OTHER_MODEL)
        return successor
