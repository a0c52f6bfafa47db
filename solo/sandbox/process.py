"""A sandboxed decoder process as its parent sees it.

The memory that is shared with it has no name, so that nothing stays behind, and no limit but the
container's own. The parent reads and writes that memory by calls rather than through a mapping: a
process that was taken over could shrink it, and a mapping would then end the parent.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any, Final, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from solo.decoding.dicom.source_header import SourceHeader
from solo.decoding.radiograph import RadiographInfo
from solo.decoding.stored_pixels import PixelsWanted, StoredPixels
from solo.sandbox.decoder import DecodedRadiograph
from solo.sandbox.header_transfer import unpack_header
from solo.sandbox.protocol import (
    KEPT_BYTES,
    MAX_MESSAGE_BYTES,
    SIGN_OF_LIFE,
    Job,
    Report,
    WorkerConfig,
    pack,
)
from solo.sandbox.validation import are_values, is_canvas, read_report

_ROOT: Final = Path(__file__).parents[2]
_WORKER: Final = "solo.sandbox.worker"
_WRITTEN_ASIDE_BYTES: Final = 2**20  # a smaller file takes less time than a thread to begin
_EXIT_SECONDS: Final = 2.0
_TALKED_NONSENSE: Final = 1  # for the exit code of one that lives, but says what none of ours does
_INHERITED: Final = ("PATH", "LD_LIBRARY_PATH", "PYTHONHOME", "LANG", "LC_ALL")
_TUNING: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # glibc gives a film's memory back after each film, and new pages cost more than decoding does:
    # keep what one film of usual size takes.
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20),
}
P = ParamSpec("P")
T = TypeVar("T")


class ProcessEndedError(Exception):
    """The process ended instead of answering.

    Attributes:
        exit_code: as `subprocess` has it: negative for a signal.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"exit code {exit_code}")
        self.exit_code = exit_code


class NotTakenError(Exception):
    """The process ended before it touched the file."""


class DecoderProcess:
    """A process and the memory shared with it; belongs to the event loop that starts it.

    Start it in a thread that lasts: the kernel ends the process with that thread.

    Args:
        canvas_size: (height, width) of the canvas.
        max_pixels: most pixels of one image.
        memory_bytes: what decoding may take.

    Attributes:
        ended: the exit code, once there is one.
        is_ready: whether it has started.
        usable: whether it may get a file: it has not ended and is not about to.
        pid: of the process.
    """

    def __init__(self, canvas_size: tuple[int, int], max_pixels: int, memory_bytes: int) -> None:
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.is_ready, self.usable = False, True
        self._told: asyncio.Queue[Report | int] = asyncio.Queue()  # an exit code is the last
        self._lock = asyncio.Lock()
        with ExitStack() as resources:
            upload = _memory(resources)
            output = _memory(resources)
            self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            resources.enter_context(self._control)
            self._config = WorkerConfig(
                parent=os.getpid(),
                control=theirs.fileno(),
                upload=upload,
                output=output,
                canvas_size=canvas_size,
                max_pixels=max_pixels,
                memory_bytes=memory_bytes,
            )
            os.ftruncate(upload, KEPT_BYTES)  # no pages yet
            os.ftruncate(output, self._config.output_bytes)
            with theirs:
                self._process = _start(self._config)
            self._resources = resources.pop_all()
        self.pid = self._process.pid
        self._control.setblocking(False)
        asyncio.get_running_loop().add_reader(self._control, self._receive)

    async def ready(self) -> None:
        """Waits until it can take jobs.

        Raises:
            ProcessEndedError: if it ends before.
        """
        await self._next()
        self.is_ready = True

    async def decode(
        self,
        pieces: Sequence[bytes],
        frame: int,
        wants_pixels: PixelsWanted,
        *,
        wants_header: bool = False,
    ) -> DecodedRadiograph | Report:
        """Has a file decoded; one at a time.

        Args:
            pieces: of the file, in order.
            frame: which frame, from 0.
            wants_pixels: what is wanted beside the canvas.
            wants_header: whether the source header of a DICOM file is wanted.

        Returns:
            The frame, or the report that says why there is none.

        Raises:
            NotTakenError: if the process ended before it touched the file.
            ProcessEndedError: if it ended with the file.
        """
        async with self._lock:
            if not self.usable:  # its descriptors may be another's by now
                raise NotTakenError
            started = perf_counter()
            length = sum(map(len, pieces))
            if length < _WRITTEN_ASIDE_BYTES:
                self._write(pieces)
            else:
                await self._in_thread(self._write, pieces)
            try:
                self._control.send(pack(Job(length, frame, wants_pixels, wants_header)))
                taken = await self._next()
            except (OSError, ProcessEndedError):
                self.kill()
                raise NotTakenError from None
            try:
                report = await self._next()
            finally:
                if length > KEPT_BYTES:
                    os.ftruncate(self._config.upload, KEPT_BYTES)
            if report == SIGN_OF_LIFE or taken != SIGN_OF_LIFE:
                raise self._nonsense()
            if report.info is None:
                return report
            canvas = np.empty(self._config.canvas_size, np.float32)
            self._read(0, canvas)
            if report.info.frame != frame or not is_canvas(canvas):
                raise self._nonsense()
            header = pixels = stored = None
            if wants_header or wants_pixels != "none":
                header, pixels, stored = await self._in_thread(
                    self._read_beside, report, report.info, wants_pixels
                )
            seconds = perf_counter() - started
            return DecodedRadiograph(
                report.info, canvas, pixels, seconds, stored, header if wants_header else None
            )

    def kill(self) -> None:
        """Ends the process; `ended` follows."""
        self.usable = False
        self._process.kill()

    async def close(self) -> None:
        """Ends the process if it runs and frees what it shares."""
        self.kill()
        await asyncio.shield(self.ended)
        async with self._lock:  # a thread may still be writing
            self._resources.close()

    def _receive(self) -> None:
        try:
            if message := self._control.recv(MAX_MESSAGE_BYTES):
                self._told.put_nowait(read_report(message, self._config.max_pixels))
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        except ValueError:
            self._told.put_nowait(self._nonsense().exit_code)
        asyncio.get_running_loop().remove_reader(self._control)
        self.usable = False
        self._reaping = asyncio.create_task(self._reap(), name="reap")

    async def _reap(self) -> None:
        """Waits for the exit code, and no longer than it takes to exit."""
        try:
            code = await asyncio.to_thread(self._process.wait, _EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            code = await asyncio.to_thread(self._process.wait)
        self.ended.set_result(code)
        self._told.put_nowait(code)

    async def _next(self) -> Report:
        told = await self._told.get()
        if isinstance(told, int):
            raise ProcessEndedError(told)
        return told

    def _nonsense(self) -> ProcessEndedError:
        """Ends a process that says what none of ours does."""
        self.kill()
        return ProcessEndedError(_TALKED_NONSENSE)

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs what must not be left alone with the shared memory when its caller is cancelled."""
        running = asyncio.ensure_future(asyncio.to_thread(work, *args, **kwargs))
        try:
            return await asyncio.shield(running)
        finally:
            await asyncio.wait({running})

    def _write(self, pieces: Sequence[bytes]) -> None:
        offset = 0
        for piece in pieces:
            rest = memoryview(piece)
            while rest:
                written = os.pwrite(self._config.upload, rest, offset)
                rest, offset = rest[written:], offset + written

    def _read_beside(
        self, report: Report, info: RadiographInfo, wants_pixels: PixelsWanted
    ) -> tuple[SourceHeader | None, npt.NDArray[np.uint8] | None, StoredPixels | None]:
        """What follows the canvas: a header's tables, then pixels."""
        facts = report.header.tables if report.header else []
        tables = [np.empty(table.entries, np.uint16) for table in facts]
        pixels = stored = None
        if wants_pixels == "grey":
            pixels = np.empty((info.height, info.width), np.uint8)
            self._read_rest(*tables, pixels)
        elif wants_pixels == "cells":
            if report.display is None:
                raise self._nonsense()
            stored = StoredPixels.room(report.display, info.height, info.width)
            self._read_rest(*tables, *stored.arrays)
            if not are_values(stored.values):
                raise self._nonsense()
        elif tables:
            self._read_rest(*tables)
        header = None if report.header is None else unpack_header(report.header, tables)
        return header, pixels, stored

    def _read_rest(self, *arrays: npt.NDArray[Any]) -> None:
        """Fills arrays with what follows the canvas, and frees its pages."""
        output, start = self._config.output, self._config.canvas_bytes
        self._read(start, *arrays)
        os.ftruncate(output, start)
        os.ftruncate(output, self._config.output_bytes)

    def _read(self, offset: int, *arrays: npt.NDArray[Any]) -> None:
        """Fills arrays, which have another film's pixels in them yet, or ends the process."""
        for array in arrays:
            rest = array.data.cast("B")
            while rest:
                read = os.preadv(self._config.output, [rest], offset)
                if not read:  # the process has made the memory smaller
                    raise self._nonsense()
                rest, offset = rest[read:], offset + read


def _memory(resources: ExitStack) -> int:
    descriptor = os.memfd_create("solo-film")
    resources.callback(os.close, descriptor)
    return descriptor


def _start(config: WorkerConfig) -> subprocess.Popen[bytes]:
    """Starts a process with the descriptors it needs, no others, and no settings or keys."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return subprocess.Popen(  # noqa: S603 (our own module, and no shell)
        [sys.executable, "-m", _WORKER, pack(config).decode()],
        cwd=_ROOT,
        env={**inherited, **_TUNING, "OPENCV_IO_MAX_IMAGE_PIXELS": str(config.max_pixels)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(config.control, config.upload, config.output),
        process_group=0,  # Ctrl-C is for the parent, which lets work in hand finish
    )
