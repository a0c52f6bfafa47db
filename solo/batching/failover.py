"""Failover: a model that fails its self-test is rolled back, reopened, or the process ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor

from solo.events import Events
from solo.inference.engine import DeviceMemoryError, ProviderChangedError
from solo.inference.model_runner import ModelRunner

_MAX_SESSIONS_IN_A_ROW = 3
_PROBATION_RUNS = 1000

_logger = logging.getLogger(__name__)


class Failover:
    """Holds the model that serves, and finds one that works when it does not.

    Args:
        model: serves; warm.
        threads: where models run.
        events: told of every step, and whether the model answers.

    Attributes:
        model: what new requests are for.
        fatal: why the process has to end, or None.
    """

    def __init__(self, model: ModelRunner, threads: Executor, events: Events) -> None:
        self.model = model
        self.fatal: str | None = None
        self._previous: ModelRunner | None = None
        self._threads = threads
        self._events = events
        self._lock = asyncio.Lock()
        self._sessions_in_a_row = 0
        self._session_is_unproved = False
        self._good_runs = 0

    def adopt(self, model: ModelRunner) -> None:
        """Lets another model answer new requests; the old one is kept until that has proved itself.

        Args:
            model: warm, of the same canvas and classes, and compared with the old one.
        """
        self._previous, self.model = self.model, model
        self._good_runs = 0
        self._events.on_model(model.identity)

    def fail(self, reason: str) -> None:
        """The process cannot go on; what else fails after the first reason is no news."""
        if self.fatal is None:
            self.fatal = reason
            self._events.on_failure(reason)

    def note_good_run(self) -> None:
        """A batch was answered."""
        self._events.on_health(True)
        self._session_is_unproved = False
        self._good_runs += 1
        if self._good_runs >= _PROBATION_RUNS:
            self._previous = None
            self._sessions_in_a_row = self._good_runs = 0

    async def check(self) -> bool:
        """Runs the self-test, and helps the model if it fails."""
        return await self.examine(self.model, self.model.sessions, None)

    async def examine(self, model: ModelRunner, session: int, error: Exception | None) -> bool:
        """Finds out whether a model that failed on a batch still works, and helps it if not.

        Args:
            model: which failed.
            session: the session in which it did.
            error: what it raised; None if it did not.

        Returns:
            Whether there is a model that works now. If not, the process is ending.
        """
        async with self._lock:
            if self.fatal is not None:
                return False
            if isinstance(error, ProviderChangedError):
                self.fail(str(error))
                return False
            if model.fallback is not None or model.sessions != session:
                return True  # helped meanwhile
            no_memory = isinstance(error, DeviceMemoryError)
            if no_memory and self._session_is_unproved:
                self.fail("the device has no memory for one image, in a new session too")
                return False
            if not no_memory and await self._succeeds(model.check):
                self._events.on_health(True)
                return True
            self._events.on_health(False)
            if await self._roll_back(model) or await self._reopen(model):
                self._events.on_health(True)
                return True
            self.fail("the model fails, and a new session does not help")
            return False

    async def _roll_back(self, model: ModelRunner) -> bool:
        previous = self._previous
        if model is not self.model or previous is None:
            return False
        self._previous = None
        if not await self._succeeds(previous.check):
            return False
        model.fallback, self.model = previous, previous
        self._events.on_model(previous.identity)
        self._events.on_reload("rolled_back")
        _logger.info("model rolled back", extra={"fields": {"sha256": previous.engine.sha256}})
        return True

    async def _reopen(self, model: ModelRunner) -> bool:
        if self._sessions_in_a_row >= _MAX_SESSIONS_IN_A_ROW:
            return False
        self._sessions_in_a_row += 1
        self._session_is_unproved = True
        self._events.on_session_reopened()
        _logger.info("session reopened", extra={"fields": {"sha256": model.engine.sha256}})
        return await self._succeeds(model.reopen)

    async def _succeeds(self, step: Callable[[], None]) -> bool:
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads, step)
        except Exception:  # whatever the runtime raises
            _logger.exception("the self-test failed")
            return False
        return True
