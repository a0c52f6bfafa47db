"""Warm decoder processes, a fixed number of them.

Each place in the pool has a task that starts a process, waits for its end, whatever ended it, and
starts the next. A file that breaks its decoder gets an error; the next file gets a new decoder.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from app.logging import write
from solo.decoding.radiograph import Limits
from solo.errors import (
    DeadlineError,
    DecoderCrashedError,
    DecoderLostError,
    DecoderMemoryError,
    EmptyError,
    ServiceError,
    error_classes,
)
from solo.sandbox.process import DecoderProcess, NotTakenError, ProcessEndedError
from solo.sandbox.protocol import FilmFacts, Report

_logger = logging.getLogger(__name__)

_FIXED_BYTES: Final = 768 * 2**20
_BYTES_PER_PIXEL: Final = 16
_START_SECONDS: Final = 60.0
_ATTEMPTS: Final = 5
_PAUSE_SECONDS: Final = 1.0
_FROM_OUTSIDE: Final = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP}
_ERRORS: Final = {error.kind: error for error in error_classes()}


@dataclass(frozen=True)
class DecodedFilm:
    """A decoded image on the model's canvas.

    Attributes:
        facts: what is known of it.
        canvas: float32 [H, W] in [0, 1].
        film: its pixels, uint8 [height, width], if they were asked for.
        seconds: that it took, waiting for a free decoder not counted.
    """

    facts: FilmFacts
    canvas: npt.NDArray[np.float32]
    film: npt.NDArray[np.uint8] | None
    seconds: float


class FilmDecoder(Protocol):
    """Whatever turns files into canvases."""

    async def start(self) -> None:
        """Returns when files can come."""

    async def stop(self) -> None:
        """Leaves nothing running."""

    async def decode(
        self, data: bytes | Sequence[bytes], frame: int, film: bool = False
    ) -> DecodedFilm:
        """Decodes a file.

        Args:
            data: its bytes, in one piece or in many.
            frame: which frame, from 0.
            film: whether its pixels are wanted too.

        Raises:
            ServiceError: the error that the file deserves.
        """


class DecoderPool:
    """Decoder processes; a `FilmDecoder`.

    Args:
        count: number of processes.
        canvas_size: (height, width) of the model's canvas.
        limits: what a file may ask of a decoder.
        decode_seconds: longest time for one file; then its process is killed.
        on_failure: told in a sentence when processes do not start any more.
    """

    def __init__(
        self,
        count: int,
        canvas_size: tuple[int, int],
        limits: Limits,
        decode_seconds: float,
        on_failure: Callable[[str], None],
    ) -> None:
        self._count = count
        self._canvas_size = canvas_size
        self._limits = limits
        self._decode_seconds = decode_seconds
        self._on_failure = on_failure
        # The last one used comes first: its memory is still in the caches.
        self._idle: asyncio.LifoQueue[DecoderProcess] = asyncio.LifoQueue()
        self._processes: set[DecoderProcess] = set()
        self._places: list[asyncio.Task[None]] = []
        self._work: set[asyncio.Task[DecodedFilm]] = set()

    @property
    def memory_bytes(self) -> int:
        """What decoding one file may take beside an idle process."""
        return _FIXED_BYTES + _BYTES_PER_PIXEL * self._limits.max_pixels

    async def start(self) -> None:
        """Starts all processes and waits for them.

        Raises:
            ProcessEndedError: if one ends before it is ready.
            TimeoutError: if one is not ready in time.
        """
        opening = (self._open() for _ in range(self._count))
        opened = await asyncio.gather(*opening, return_exceptions=True)
        for process in opened:
            if isinstance(process, DecoderProcess):
                task = asyncio.create_task(self._keep(process), name="decoder")
                self._places.append(task)
        for failure in opened:
            if isinstance(failure, BaseException):
                raise failure

    async def stop(self) -> None:
        """Kills all processes; files in work get an error."""
        tasks = [*self._places, *self._work]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*map(self._close, list(self._processes)))

    async def decode(
        self, data: bytes | Sequence[bytes], frame: int, film: bool = False
    ) -> DecodedFilm:
        """See `FilmDecoder`.

        Cancelling it leaves the process to finish the file: to start another costs more.

        Raises:
            DecoderCrashedError: if the process died of the file.
            DecoderLostError: if somebody else killed the process, and the next one too.
            DeadlineError: if the file took too long.
            ServiceError: those of `solo.decoding.decode`.
        """
        pieces = [data] if isinstance(data, bytes) else data
        if not any(pieces):
            raise EmptyError("the file has no bytes")
        lost = False
        while True:
            process = await self._idle.get()
            if not process.usable:  # it died here, and its place has another by now
                continue
            work = asyncio.create_task(self._decode(process, pieces, frame, film), name="decode")
            self._work.add(work)
            work.add_done_callback(self._done)
            try:
                return await asyncio.shield(work)
            except NotTakenError:  # it was dying already: another takes the file
                continue
            except DecoderLostError:
                if lost:  # no accident: the machine has no memory for it, it may be
                    raise
                lost = True

    def _done(self, work: asyncio.Task[DecodedFilm]) -> None:
        self._work.discard(work)
        if not work.cancelled():
            work.exception()  # seen, also where nobody waits any more

    async def _decode(
        self, process: DecoderProcess, pieces: Sequence[bytes], frame: int, film: bool
    ) -> DecodedFilm:
        started = perf_counter()
        try:
            async with asyncio.timeout(self._decode_seconds):
                answer = await process.decode(pieces, frame, film)
            facts = answer.report.facts
            if facts is None or answer.canvas is None:
                raise self._error_in(answer.report, process)
            return DecodedFilm(facts, answer.canvas, answer.film, perf_counter() - started)
        except TimeoutError:
            process.kill()
            raise DeadlineError(
                f"decoding the file took more than {self._decode_seconds:g} seconds"
            ) from None
        except ProcessEndedError as error:
            raise _error_of(error.exit_code) from None
        finally:
            if process.usable:
                self._idle.put_nowait(process)

    def _error_in(self, report: Report, process: DecoderProcess) -> ServiceError:
        if report.refusal is None:
            name, place = report.fault or ("nothing", "")
            write(_logger, "a decoder failed unexpectedly", exception=name, at=place)
            return ServiceError("the service failed on this image")
        kind, detail = report.refusal
        if kind == DecoderMemoryError.kind:
            process.kill()  # what the file left behind would be taken from the next one's memory
        return _ERRORS.get(kind, ServiceError)(detail)

    async def _keep(self, process: DecoderProcess) -> None:
        """One place: its process, and whenever that has ended, another."""
        try:
            while True:
                self._idle.put_nowait(process)
                code = await asyncio.shield(process.ended)
                write(_logger, "a decoder ended", pid=process.pid, exit_code=code)
                await self._close(process)
                process = await self._replace()
        except (OSError, ProcessEndedError, TimeoutError) as error:
            self._on_failure(f"decoders cannot be started: {type(error).__name__}")

    async def _replace(self) -> DecoderProcess:
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._open()
            except (OSError, ProcessEndedError, TimeoutError):
                await asyncio.sleep(_PAUSE_SECONDS)
        return await self._open()

    async def _open(self) -> DecoderProcess:
        process = DecoderProcess(self._canvas_size, self._limits.max_pixels, self.memory_bytes)
        self._processes.add(process)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await process.ready()
        except BaseException:
            await self._close(process)
            raise
        return process

    async def _close(self, process: DecoderProcess) -> None:
        await process.close()
        self._processes.discard(process)


def _error_of(exit_code: int) -> ServiceError:
    """Who ended a decoder: its file, or somebody else.

    A decoder dies of a file by a fault (SIGSEGV, SIGABRT, ...) or by a library that exits. The
    kernel out of memory and an operator send SIGKILL or SIGTERM; that says nothing of the file.
    """
    if exit_code in _FROM_OUTSIDE:
        return DecoderLostError("the decoder was stopped while it had this file; send it again")
    return DecoderCrashedError("the file cannot be decoded: its decoder broke on it")
