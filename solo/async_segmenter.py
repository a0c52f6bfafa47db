"""AsyncSegmenter: decode, batch, infer, outline; for programs with an event loop.

Decoding runs in a sandbox or in threads, the model in threads of its own, masks in a thread pool,
so that the event loop answers meanwhile. The errors of one image stay with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from operator import index
from pathlib import Path
from time import perf_counter
from typing import Final, Self, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from solo.batching.admission import Place
from solo.batching.batch import Outcome
from solo.batching.batcher import Batcher
from solo.batching.hot_reload import HotReload
from solo.batching.priority_queue import Lane
from solo.contract.manifest import Manifest
from solo.decoding.radiograph import Limits
from solo.decoding.stored_pixels import PixelsWanted
from solo.errors import DeadlineError, DrainingError
from solo.events import Events
from solo.fair_decoder import FairDecoder, Wanted, result_of
from solo.file import RadiographFile
from solo.formats.coco_annotations import annotated
from solo.inference.cores import usable_cores
from solo.inference.engine import Engine
from solo.inference.model_runner import ModelRunner
from solo.inference.precision import Precision, open_engine
from solo.inference.providers import NOTHING_BESIDES, GpuOptions, Provider
from solo.options import Options, check_numbers, check_word
from solo.postprocess import finds_nothing, native_instances
from solo.result import Instance, OutOfDistribution, Result, Timings
from solo.sandbox.decoder import (
    DecodedRadiograph,
    InProcessDecoder,
    RadiographDecoder,
    decode_pixels,
)
from solo.sandbox.pool import DecoderPool, Sandbox
from solo.zoo import model_path

T = TypeVar("T")
Source = Path | str | bytes | RadiographFile | npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""A path, a file's bytes, or grey pixels [height, width] (or RGB [height, width, 3])."""

MAX_PIXELS: Final = 50_000_000
# A smaller file is hashed in the 0.1 ms that a turn in the pool takes.
_HASHED_ASIDE_BYTES: Final = 2**18


class StartError(Exception):
    """The segmenter cannot start; the message is one sentence for the operator."""


class AsyncSegmenter:
    """Finds the instances in radiographs; lives in one event loop, within `async with`.

    Args:
        model: an ONNX file written by `python -m export`, the name of a bundled model, or None for
            `cxr-lungs`; or an engine that is open already.
        sandbox: decodes in processes of their own; None decodes in this process, which is for
            files that somebody vouches for.
        cores: processor cores that decoding, masks and, on a CPU, the model may use; None for
            those that the process may use.
        provider: what computes; `auto` takes CUDA where it becomes active, else the CPU.
        precision: `auto` takes a variant of the model in fewer bits where that is faster.
        gpu: options for a GPU.
        max_batch: most images that share one run of the model.
        queue_limit: most images that may wait for the model, those being decoded included.
        max_pixels: most pixels (rows x columns) of one image.
        events: told of results, batches and health.
        decoder: decodes in the sandbox's stead, such as one that a test or a benchmark brings.
        model_key: the public key that has to have signed the model's file
            (`solo.inference.model_signature`); None asks for no signature.
        reopen: opens the model anew for `reload`; None opens `model` again.

    Attributes:
        queue_limit: most images that may wait.
        admission: admission control, to refuse early what would wait in vain.

    Raises:
        ModelError: if the model cannot be used.
        ValueError: for a number below 1, or a provider or precision that does not exist.
    """

    def __init__(
        self,
        model: Path | str | Engine | None = None,
        sandbox: Sandbox | None = None,
        cores: int | None = None,
        *,
        provider: Provider = "auto",
        precision: Precision = "auto",
        gpu: GpuOptions = NOTHING_BESIDES,
        max_batch: int = 8,
        queue_limit: int = 64,
        max_pixels: int = MAX_PIXELS,
        events: Events | None = None,
        decoder: RadiographDecoder | None = None,
        model_key: Path | str | None = None,
        reopen: Callable[[], Engine] | None = None,
    ) -> None:
        numbers = {"max_batch": max_batch, "queue_limit": queue_limit, "max_pixels": max_pixels}
        check_numbers(numbers | ({} if cores is None else {"cores": cores}))
        check_word("provider", provider, get_args(Provider))
        check_word("precision", precision, get_args(Precision))
        self._cores = usable_cores() if cores is None else cores
        self._limits = Limits(max_pixels)
        self._stopped = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._events = events or Events()

        def open_model() -> Engine:
            if model is None or isinstance(model, Path | str):
                path = model_path(model)
                cores, key = self._cores, None if model_key is None else Path(model_key)
                return open_engine(path, provider, max_batch, precision, gpu, cores=cores, key=key)
            if model_key is not None:
                raise ValueError("model_key is for a file, and not for an engine that is open")
            return model

        engine = open_model()
        self.queue_limit = queue_limit
        self._batcher = Batcher(
            ModelRunner(engine), queue_limit, self._events, on_launch=self._hash_waiting
        )
        # Small files, hashed while the model runs: before, it would hold up the images of their
        # batch that are still to come, and afterwards its answers.
        self._unhashed: set[RadiographFile] = set()
        self.admission = self._batcher.admission
        self._reload = HotReload(reopen or open_model, self._batcher, self._events)
        self._threads = ThreadPoolExecutor(self._cores, thread_name_prefix="solo")
        canvas_size = engine.manifest.canvas_size
        if decoder is None and sandbox is not None:
            workers, seconds = sandbox.workers or self._cores, sandbox.decode_seconds
            fail = self._batcher.failover.fail
            decoder = DecoderPool(workers, canvas_size, self._limits, seconds, fail)
        self._decoder = decoder or InProcessDecoder(self._cores, canvas_size, self._limits)
        self._fair_decoder = FairDecoder(self._decoder)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Starts the decoders and warms the model up.

        Raises:
            StartError: if either is not possible.
            RuntimeError: if it was started before: it lives once, in one event loop.
        """
        if self._loop is not None:
            raise RuntimeError("the segmenter was started before: open another one")
        self._loop = asyncio.get_running_loop()
        try:
            await self._decoder.start()
        except Exception as error:
            raise StartError(f"decoders cannot be started: {type(error).__name__}") from error
        try:
            await self._batcher.start()
        except Exception as error:
            # It ran on empty images, so that its words can hold nothing of a patient.
            reason = " ".join(str(error).split())
            name = type(error).__name__
            raise StartError(f"the model cannot be warmed up: {name}: {reason}") from error

    async def stop(self) -> None:
        """Answers what still waits with an error and leaves nothing running."""
        self._stopped = True
        self._fair_decoder.close()
        await self._batcher.stop()
        await self._decoder.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def model(self) -> ModelRunner:
        """The model that answers new requests."""
        return self._batcher.model

    @property
    def manifest(self) -> Manifest:
        """The manifest of the model's file."""
        return self.model.engine.manifest

    @property
    def max_batch(self) -> int:
        """Most images that share one run of the model."""
        return self.model.engine.batch_sizes[-1]

    @property
    def ahead(self) -> int:
        """Images in work at once that keep the cores and the model busy, and few in memory."""
        runs = self.model.engine.runs_at_once
        return min(self.queue_limit, self._cores + 2 * runs * self.model.costs.best_size)

    def abandon(self) -> None:
        """Answers everybody who waits with `DrainingError`."""
        self._batcher.abandon()

    def reload(self) -> None:
        """Begins a hot reload: opens the model anew and, if it passes, lets it answer."""
        self._reload.begin()

    async def segment(
        self,
        source: Source,
        *,
        frame: int = 0,
        options: Options = Options(),  # noqa: B008 (frozen)
        deadline: float | None = None,
        lane: Lane = "interactive",
        client: str = "",
        model: ModelRunner | None = None,
        wants_pixels: PixelsWanted = "none",
        wants_header: bool = False,
    ) -> Result:
        """Segments one frame.

        Args:
            source: a path, the bytes of a DICOM, PNG, JPEG or TIFF file, or pixels.
            frame: which frame of a multi-frame file, from 0.
            options: which instances are wanted.
            deadline: event loop time by which the result must be there; None waits for ever.
            lane: `bulk` takes what `interactive` leaves.
            client: whose image it is: clients have decoders and batches in turn.
            model: the one that answers, from `self.model`; None for the current one.
            wants_pixels: whether the result has the radiograph's pixels, and which.
            wants_header: whether the result has what `solo.formats.dicom` copies from the film.

        Raises:
            SoloError: the error that the image deserves; see `solo.errors` for the kinds.
            OSError: if a path cannot be read.
            RuntimeError: before `start`, and in another event loop than that.
            ValueError: for pixels that are none of these.
        """
        if wants_pixels not in get_args(PixelsWanted):  # it was a bool once
            raise ValueError(f"wants_pixels is none, grey or cells, not {wants_pixels!r}")
        wanted = Wanted(index(frame), wants_pixels, wants_header)
        async with self._until(deadline) as seconds_left:
            with self.admission.place(lane, seconds_left, client) as place:
                file = await self._file_of(source)
                decoded = await self._decode(source, file, wanted, place)
                queued = self._batcher.submit(decoded.canvas, place, model or self.model)
                self._unhashed.add(file)
                try:
                    outcome = await queued
                finally:
                    self._unhashed.discard(file)
            instances, seconds = await self._postprocess(outcome, decoded, options)
        timings = Timings(
            decode_seconds=decoded.seconds,
            queue_seconds=outcome.queue_seconds,
            inference_seconds=outcome.inference_seconds,
            postprocess_seconds=seconds,
        )
        strange = OutOfDistribution.of(outcome.out_of_distribution)
        result = result_of(outcome.model.identity, file, decoded, instances, timings, strange)
        self._events.on_result(result)
        return result

    async def annotated(
        self,
        source: Source,
        annotations: bytes,
        *,
        frame: int = 0,
        deadline: float | None = None,
        lane: Lane = "interactive",
        client: str = "",
        wants_pixels: PixelsWanted = "none",
        wants_header: bool = False,
    ) -> Result:
        """A person's annotations of one frame as a result, without a run of the model.

        Args:
            source: of the film that they are of.
            annotations: a COCO document (`solo.formats.coco_annotations`).
            frame: as for `segment`, like all that follow.
            deadline: as there.
            lane: as there.
            client: as there.
            wants_pixels: as there.
            wants_header: as there.

        Raises:
            MalformedError: for annotations that are no JSON.
            AnnotationError: for annotations that are none of this film, or cannot be read.
            SoloError: the error that the film deserves; and what else `segment` raises.
        """
        model, wanted = self.model, Wanted(index(frame), wants_pixels, wants_header)
        async with self._until(deadline) as seconds_left:
            with self.admission.place(lane, seconds_left, client) as place:
                file = await self._file_of(source)
                decoded = await self._decode(source, file, wanted, place)
            started = perf_counter()
            film = result_of(model.identity, file, decoded, (), Timings(decoded.seconds, 0, 0, 0))
            manifest = model.engine.manifest
            read = await self._in_thread(lambda: annotated(film, annotations, manifest))
        timings = replace(film.timings, postprocess_seconds=perf_counter() - started)
        return replace(read, timings=timings)

    @asynccontextmanager
    async def _until(self, deadline: float | None) -> AsyncIterator[float]:
        """The seconds that are left until a deadline, which ends what is within."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            raise RuntimeError("the segmenter serves the event loop that started it, and no other")
        try:
            async with asyncio.timeout_at(deadline):
                yield float("inf") if deadline is None else deadline - loop.time()
        except TimeoutError:
            raise DeadlineError("the image was not answered before the deadline") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._stopped and not (task and task.cancelling()):  # its thread was taken away
                raise self._draining() from None
            raise

    async def _file_of(self, source: Source) -> RadiographFile:
        if isinstance(source, RadiographFile):
            return source
        if isinstance(source, bytes):
            return RadiographFile([source])
        if isinstance(source, np.ndarray):
            return RadiographFile([source.tobytes()])
        return RadiographFile([await self._in_thread(Path(source).read_bytes)])

    async def _decode(
        self,
        source: Source,
        file: RadiographFile,
        wanted: Wanted,
        place: Place,
    ) -> DecodedRadiograph:
        if self._stopped:
            raise self._draining()
        if isinstance(source, np.ndarray):
            canvas_size = self.manifest.canvas_size
            return await self._in_thread(
                lambda: decode_pixels(
                    source, wanted.frame, canvas_size, self._limits, wanted.pixels
                )
            )
        decoding = self._fair_decoder.decode(file, wanted, place)
        if file.length < _HASHED_ASIDE_BYTES:
            return await decoding
        hashing = self._in_thread(file.hash)  # beside the process that decodes
        decoded, _ = await asyncio.gather(decoding, hashing)
        return decoded

    async def _postprocess(
        self, outcome: Outcome, decoded: DecodedRadiograph, options: Options
    ) -> tuple[tuple[Instance, ...], float]:
        """The instances at native size, and the seconds that took."""
        manifest, info = outcome.model.engine.manifest, decoded.info
        if finds_nothing(outcome.instances, options, manifest):
            return (), 0.0  # spares a turn in the pool

        def work() -> tuple[tuple[Instance, ...], float]:
            started = perf_counter()
            size = (info.height, info.width)
            found = native_instances(outcome.instances, size, options, manifest)
            return found, perf_counter() - started

        return await self._in_thread(work)

    def _hash_waiting(self) -> None:
        for file in self._unhashed:
            file.hash()
        self._unhashed.clear()

    @staticmethod
    def _draining() -> DrainingError:
        return DrainingError("the segmenter stopped before the image was answered")

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._stopped:
            raise self._draining()
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
