"""Process pool of sandboxed decoders, warm, a fixed number of them.

Each place in the pool has a task that starts a process, waits for its end, whatever ended it, and
starts the next. A file that breaks its decoder gets an error; the next file gets a new decoder.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from solo.decoding.radiograph import Limits
from solo.decoding.stored_pixels import PixelsWanted
from solo.errors import (
    DeadlineError,
    DecoderCrashedError,
    DecoderLostError,
    DrainingError,
    EmptyError,
    ImageTooLargeError,
    InvalidParameterError,
    MalformedError,
    NotSegmentableError,
    SoloError,
    UnsupportedEncodingError,
    error_classes,
)
from solo.sandbox.decoder import DecodedRadiograph, StillDecodingError
from solo.sandbox.process import DecoderProcess, NotTakenError, ProcessEndedError
from solo.sandbox.protocol import Report

_logger = logging.getLogger(__name__)

# The most that any film of 49 megapixels in 128 MiB was seen to take is 1,070 MiB: 16 bits of red,
# green, blue and alpha, with noise, in a PNG or in one strip of a TIFF. Greyscale takes 500.
_FIXED_BYTES: Final = 384 * 2**20
_BYTES_PER_PIXEL: Final = 16
_START_SECONDS: Final = 60.0
_ATTEMPTS: Final = 5
_KILLED_START: Final = 0.05  # of an attempt: who kills, or takes the memory, may leave off
_PAUSE_SECONDS: Final = 1.0
_LONGEST_PAUSE_SECONDS: Final = 30.0
_FROM_OUTSIDE: Final = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP}
# All that a file can deserve; a process that was taken over may say nothing else.
_REFUSALS: Final = {
    error.kind: error
    for root in (
        MalformedError,
        ImageTooLargeError,
        UnsupportedEncodingError,
        NotSegmentableError,
        InvalidParameterError,
    )
    for error in error_classes(root)
}


@dataclass(frozen=True)
class Sandbox:
    """Decoding in processes of their own, for bytes that nobody vouches for.

    Attributes:
        workers: decoder processes, one file each at a time; None for one a core.
        decode_seconds: longest time for decoding one file.

    Raises:
        ValueError: for a value out of range.
    """

    workers: int | None = None
    decode_seconds: float = 15.0

    def __post_init__(self) -> None:
        if self.workers is not None and not self.workers >= 1:  # files would wait for ever
            raise ValueError(f"workers is {self.workers}, and has to be 1 or more")
        if not self.decode_seconds > 0:
            raise ValueError(f"decode_seconds is {self.decode_seconds}, and has to be above 0")


class DecoderPool:
    """Decoder processes; a `RadiographDecoder`.

    Args:
        width: number of processes.
        canvas_size: (height, width) of the model's canvas.
        limits: what a file may ask of a decoder.
        decode_seconds: longest time for one file; then its process is killed.
        on_failure: told in a sentence when no process is left and none starts any more.
    """

    def __init__(
        self,
        width: int,
        canvas_size: tuple[int, int],
        limits: Limits,
        decode_seconds: float,
        on_failure: Callable[[str], None],
    ) -> None:
        self.width = width
        self._canvas_size = canvas_size
        self._limits = limits
        self._decode_seconds = decode_seconds
        self._on_failure = on_failure
        # The last one used comes first: its memory is still in the caches.
        self._idle: asyncio.LifoQueue[DecoderProcess | None] = asyncio.LifoQueue()
        self._processes: set[DecoderProcess] = set()
        self._places: list[asyncio.Task[None]] = []
        self._work: set[asyncio.Task[DecodedRadiograph]] = set()
        self._failed_starts = 0.0  # in a row, of all places, while no process was left

    @property
    def live(self) -> int:
        """Processes that work, or wait for work, at the moment."""
        return sum(process.is_ready and process.usable for process in self._processes)

    @property
    def memory_bytes(self) -> int:
        """Memory that decoding one file may take beside an idle process."""
        return _FIXED_BYTES + _BYTES_PER_PIXEL * self._limits.max_pixels

    async def start(self) -> None:
        """Starts all processes and waits for them.

        Raises:
            ProcessEndedError: if one ends before it is ready.
            TimeoutError: if one is not ready in time.
        """
        opening = (self._open() for _ in range(self.width))
        opened = await asyncio.gather(*opening, return_exceptions=True)
        for process in opened:
            if isinstance(process, DecoderProcess):
                task = asyncio.create_task(self._keep(process), name="decoder")
                self._places.append(task)
        for failure in opened:
            if isinstance(failure, BaseException):
                raise failure

    async def stop(self) -> None:
        """Kills all processes; files in work, and those that wait for a process, get an error."""
        self._idle.put_nowait(None)
        tasks = [*self._places, *self._work]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*map(self._close, list(self._processes)))

    async def decode(
        self,
        data: bytes | Sequence[bytes],
        frame: int,
        wants_pixels: PixelsWanted = "none",
        *,
        wants_header: bool = False,
    ) -> DecodedRadiograph:
        """See `RadiographDecoder`.

        Cancelling it leaves the process to finish the file: to start another costs more.

        Raises:
            DecoderCrashedError: if the process died of the file.
            DecoderLostError: if somebody else killed the process, and the next one too.
            DeadlineError: if the file took too long.
            DrainingError: if the pool has stopped, or cannot start processes any more.
            SoloError: those of `solo.decoding.decode`.
        """
        pieces = [data] if isinstance(data, bytes) else data
        if not any(pieces):
            raise EmptyError("the file has no bytes")
        lost = False
        while True:
            process = await self._idle.get()
            if process is None:  # there will be no more: whoever else waits is told, too
                self._idle.put_nowait(None)
                raise DrainingError("the decoders have stopped")
            if not process.usable:  # it died here, and its place has another by now
                continue
            job = partial(process.decode, pieces, frame, wants_pixels, wants_header=wants_header)
            work = asyncio.create_task(self._decode(process, job), name="decode")
            self._work.add(work)
            work.add_done_callback(self._done)
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                raise StillDecodingError(work) from None
            except NotTakenError:  # it was dying already: another takes the file
                continue
            except DecoderLostError:
                if lost:  # no accident: the machine has no memory for it, it may be
                    raise
                lost = True

    def _done(self, work: asyncio.Task[DecodedRadiograph]) -> None:
        self._work.discard(work)
        if not work.cancelled():
            work.exception()  # seen, also where nobody waits any more

    async def _decode(
        self,
        process: DecoderProcess,
        job: Callable[[], Awaitable[DecodedRadiograph | Report]],
    ) -> DecodedRadiograph:
        try:
            async with asyncio.timeout(self._decode_seconds):
                answer = await job()
            if isinstance(answer, Report):
                raise _error_in(answer)
            return answer
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

    async def _keep(self, process: DecoderProcess) -> None:
        """One place: its process, and whenever that has ended, another."""
        try:
            while True:
                self._idle.put_nowait(process)
                code = await asyncio.shield(process.ended)
                fields = {"pid": process.pid, "exit_code": code}
                _logger.info("a decoder ended", extra={"fields": fields})
                await self._close(process)
                process = await self._replace()
        except (OSError, ProcessEndedError, TimeoutError) as error:
            self._on_failure(f"decoders cannot be started: {type(error).__name__}")
            self._idle.put_nowait(None)

    async def _replace(self) -> DecoderProcess:
        """Starts a process; goes on trying as long as another one is left."""
        pause, attempts = _PAUSE_SECONDS, 0
        while True:
            try:
                process = await self._open()
            except (OSError, ProcessEndedError, TimeoutError) as error:
                attempts += 1
                if attempts == 1:
                    fields = {"exception": type(error).__name__, "left": self.live}
                    _logger.warning("a decoder cannot be started", extra={"fields": fields})
                self._failed_starts = 0 if self.live else self._failed_starts + _weight(error)
                if self._failed_starts >= _ATTEMPTS * self.width:
                    raise
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS) if self.live else _PAUSE_SECONDS
            else:
                self._failed_starts = 0
                if attempts:
                    fields = {"pid": process.pid, "attempts": attempts + 1}
                    _logger.info("a decoder was started again", extra={"fields": fields})
                return process

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


def _weight(error: Exception) -> float:
    """What a start that failed counts."""
    killed = isinstance(error, ProcessEndedError) and error.exit_code in _FROM_OUTSIDE
    return _KILLED_START if killed else 1


def _error_of(exit_code: int) -> SoloError:
    """Who ended a decoder: its file, or somebody else.

    A decoder dies of a file by a fault (SIGSEGV, SIGABRT, ...) or by a library that exits. The
    kernel out of memory and an operator send SIGKILL or SIGTERM; that says nothing of the file.
    """
    if exit_code in _FROM_OUTSIDE:
        return DecoderLostError("the decoder was stopped while it had this file; send it again")
    return DecoderCrashedError("the file cannot be decoded: its decoder broke on it")


def _error_in(report: Report) -> SoloError:
    if report.refusal is None:
        name, place = report.fault or ("nothing", "")
        fields = {"exception": name, "at": place}
        _logger.info("a decoder failed unexpectedly", extra={"fields": fields})
        return SoloError("the service failed on this image")
    kind, detail = report.refusal
    return _REFUSALS.get(kind, SoloError)(detail)
