"""Segmenter: the library for programs without an event loop."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import Coroutine, Generator, Iterable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from solo.async_segmenter import AsyncSegmenter, Source
from solo.contract.manifest import Manifest
from solo.decoding.stored_pixels import PixelsWanted
from solo.errors import DrainingError, SoloError
from solo.inference.engine import Engine, ModelIdentity
from solo.options import Options
from solo.result import Result
from solo.sandbox.pool import Sandbox

T = TypeVar("T")


class _Wanted(NamedTuple):
    """What a result has beside the instances."""

    pixels: PixelsWanted
    header: bool


class Segmenter:
    """Finds the instances in radiographs; an `AsyncSegmenter` whose event loop is a thread.

    Usable from any thread, in notebooks too; not in a process that was forked from the one that
    opened it. `with` or `close` ends what it started.

    Args:
        model: an ONNX file written by `python -m export`, the name of a bundled model, or None for
            `cxr-lungs`.
        sandbox: decodes in processes of their own; None decodes in this process, which is for
            files that somebody vouches for.
        cores: processor cores to use; None for those that the process may use.
        settings: those of `AsyncSegmenter`, such as `provider`.

    Raises:
        ModelError: if the model cannot be used.
        StartError: if it cannot be warmed up, or decoders cannot be started.
    """

    def __init__(
        self,
        model: Path | str | Engine | None = None,
        sandbox: Sandbox | None = None,
        cores: int | None = None,
        **settings: Any,  # noqa: ANN401 (those of AsyncSegmenter)
    ) -> None:
        self._inner = AsyncSegmenter(model, sandbox, cores, **settings)
        # Threads wait for a place here: who blocks anyway does not want to be told to come again.
        self._places = asyncio.Semaphore(self._inner.queue_limit)
        self._lock, self._closed = threading.Lock(), False
        started: Future[None] = Future()
        self._loop = asyncio.new_event_loop()
        life = self._loop.create_task(_live(self._inner, started))
        self._thread = threading.Thread(target=_run, args=(life,), name="solo", daemon=True)
        self._thread.start()
        # For who forgets `close`: a notebook's cell that runs again would add threads each time.
        self._end = weakref.finalize(self, _end, life)
        self._end.atexit = False
        try:
            _result(started)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the threads and processes that it started; a second time changes nothing.

        Whoever waits in another thread gets a `DrainingError`.
        """
        if not self._thread.is_alive():  # in a fork all of it is the parent's
            return
        with self._lock:
            self._closed = True
        self._end()
        self._thread.join()

    @property
    def manifest(self) -> Manifest:
        """The manifest of the model's file: classes, thresholds, training data, quality."""
        return self._inner.manifest

    @property
    def identity(self) -> ModelIdentity:
        """The model that answers, as results name it."""
        return self._inner.model.identity

    def segment(
        self,
        source: Source,
        frame: int = 0,
        options: Options = Options(),  # noqa: B008 (frozen)
        *,
        wants_pixels: bool = False,
        wants_header: bool = False,
    ) -> Result:
        """Segments one frame.

        Args:
            source: a path, the bytes of a DICOM, PNG, JPEG or TIFF file, or pixels: uint8 or
                uint16 [height, width], or RGB [height, width, 3].
            frame: which frame of a multi-frame file, from 0.
            options: which instances are wanted.
            wants_pixels: whether the result has the radiograph's pixels.
            wants_header: whether the result has what `solo.formats.dicom` copies from the film.

        Raises:
            SoloError: the error that the image deserves; see `solo.errors` for the kinds.
            OSError: if a path cannot be read.
        """
        wanted = _wanted(wants_pixels, wants_header)
        return _result(self._submit(self._segment(source, frame, options, wanted)))

    def annotated(
        self,
        source: Source,
        annotations: bytes,
        frame: int = 0,
        *,
        wants_pixels: bool = False,
        wants_header: bool = False,
    ) -> Result:
        """A person's annotations of one frame as a result, without a run of the model.

        Args:
            source: of the film that they are of; as for `segment`, like the others.
            annotations: a COCO document of that frame alone (`solo.formats.coco_annotations`).
            frame: which frame of a multi-frame file, from 0.
            wants_pixels: whether the result has the radiograph's pixels.
            wants_header: whether the result has what `solo.formats.dicom` copies from the film.

        Raises:
            AnnotationError: for annotations that are none of this film, or cannot be read.
            SoloError: the error that the film deserves; see `solo.errors` for the kinds.
            OSError: if a path cannot be read.
        """
        wanted = _wanted(wants_pixels, wants_header)
        return _result(self._submit(self._annotated(source, annotations, frame, wanted)))

    def map(
        self,
        sources: Iterable[Source | tuple[Source, int]],
        options: Options = Options(),  # noqa: B008 (frozen)
        *,
        wants_pixels: bool = False,
        wants_header: bool = False,
    ) -> Generator[Result | SoloError | OSError, None, None]:
        """Segments many; decodes ahead, and batches where that pays.

        Args:
            sources: each for its first frame, or a pair of source and frame; taken as they are
                needed, so that memory is bounded.
            options: which instances are wanted.
            wants_pixels: whether results have the radiographs' pixels.
            wants_header: whether results have what `solo.formats.dicom` copies from the film.

        Yields:
            In order, the result of each source, or the error that it deserves. Closing it cancels
            what is in work.

        Raises:
            TypeError: for one source instead of many.
        """
        if isinstance(sources, str | bytes):  # whose letters are no sources
            raise TypeError("map takes many sources: segment takes one")
        ahead: deque[Future[Result]] = deque()
        wanted = _wanted(wants_pixels, wants_header)
        try:
            for each in sources:
                source, frame = each if isinstance(each, tuple) else (each, 0)
                work = self._segment(source, frame, options, wanted)
                ahead.append(self._submit(work))
                if len(ahead) >= self._inner.ahead:
                    yield _outcome(ahead.popleft())
            while ahead:
                yield _outcome(ahead.popleft())
        finally:
            for future in ahead:
                future.cancel()

    async def _segment(
        self, source: Source, frame: int, options: Options, wanted: _Wanted
    ) -> Result:
        async with self._places:
            return await self._inner.segment(
                source,
                frame=frame,
                options=options,
                wants_pixels=wanted.pixels,
                wants_header=wanted.header,
            )

    async def _annotated(
        self, source: Source, annotations: bytes, frame: int, wanted: _Wanted
    ) -> Result:
        async with self._places:
            return await self._inner.annotated(
                source,
                annotations,
                frame=frame,
                wants_pixels=wanted.pixels,
                wants_header=wanted.header,
            )

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        alive = self._thread.is_alive()
        if alive:
            with self._lock:
                if not self._closed:
                    return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        if alive or self._closed:
            raise RuntimeError("the segmenter is closed")
        raise RuntimeError("a forked process cannot use the segmenter: open one in each process")


def _wanted(pixels: bool, header: bool) -> _Wanted:
    return _Wanted("grey" if pixels else "none", header)


async def _live(inner: AsyncSegmenter, started: Future[None]) -> None:
    """The life of a segmenter, until it is cancelled."""
    try:
        async with inner:
            started.set_result(None)
            await asyncio.Event().wait()
    except BaseException as error:
        if not started.done():
            started.set_exception(error)


def _run(life: asyncio.Task[None]) -> None:
    with asyncio.Runner(loop_factory=life.get_loop) as runner:  # cancels what is left at its end
        runner.get_loop().run_until_complete(life)


def _end(life: asyncio.Task[None]) -> None:
    """Ends a segmenter, without a wait: the collector may run anywhere."""
    with suppress(RuntimeError):  # the loop is closed
        life.get_loop().call_soon_threadsafe(life.cancel)


def _result(future: Future[T]) -> T:
    try:
        return future.result()
    except CancelledError:
        raise DrainingError("the segmenter was closed before the image was answered") from None
    finally:
        future.cancel()  # of no effect, unless Ctrl-C ended the wait


def _outcome(future: Future[Result]) -> Result | SoloError | OSError:
    try:
        return _result(future)
    except (SoloError, OSError) as error:
        return error
