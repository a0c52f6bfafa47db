"""One frame's way through the service: decode, wait, infer, encode.

Decoding runs in processes of its own and encoding in a thread pool, so that probes are answered
meanwhile. The errors of one image stay with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter, time_ns
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from app.http.upload import UploadedFile
from app.metrics import Metrics
from app.schemas import ImageAnswer, Instance, Segmentation, SegmentQuery, Spacing, Timings
from solo.batching.batch import Outcome
from solo.batching.batcher import Batcher
from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox
from solo.contract.manifest import Manifest
from solo.errors import DeadlineError, ModelFailedError, ServiceError
from solo.inference.model_runner import ServedModel
from solo.masks.rle import encode
from solo.masks.suppression import suppress
from solo.sandbox.pool import DecodedFilm, FilmDecoder
from solo.sandbox.protocol import FilmFacts

if TYPE_CHECKING:
    from app.tracing import Tracing

T = TypeVar("T")

_logger = logging.getLogger(__name__)

# A smaller file is hashed in the 0.1 ms that a turn in the pool takes.
_HASHED_ASIDE_BYTES = 2**18


@dataclass(frozen=True)
class Attempt:
    """What became of one frame of a file.

    Attributes:
        index: the file's place in the request.
        frame: which of its frames.
        file: what was sent.
        result: its answer, or why there is none.
        film: what is known of the decoded image of an answer.
        pixels: of the film, uint8 [height, width], where a picture of it was asked for.
        model: what answered.
    """

    index: int
    frame: int
    file: UploadedFile
    result: ImageAnswer | ServiceError
    film: FilmFacts | None = None
    pixels: npt.NDArray[np.uint8] | None = None
    model: ServedModel | None = None


@dataclass(frozen=True)
class Order:
    """What a request asks for each of its files.

    Attributes:
        query: its parameters.
        wants_film: whether the answer shows the film's pixels.
        model: the one that serves when the request comes; all its images are for this one.
        deadline: event loop time by which the answer must be there.
    """

    query: SegmentQuery
    wants_film: bool
    model: ServedModel
    deadline: float


class Segmenter:
    """Segments single frames.

    Args:
        batcher: the way to the model.
        pool: threads that hash and encode.
        decoder: turns files into canvases.
        decoders: how many files it decodes at once.
        metrics: told of the time in each stage.
        tracing: told of it too, or None.
    """

    def __init__(
        self,
        batcher: Batcher,
        pool: ThreadPoolExecutor,
        decoder: FilmDecoder,
        decoders: int,
        metrics: Metrics,
        tracing: Tracing | None = None,
    ) -> None:
        self._batcher = batcher
        self._pool = pool
        self._decoder = decoder
        self._metrics = metrics
        self._tracing = tracing
        # An archive leaves a decoder to those who look at a screen, where there are two.
        self._bulk_turns = asyncio.Semaphore(max(1, decoders - 1))

    @property
    def max_batch(self) -> int:
        """Most images that share one run of the model."""
        return self._batcher.model.engine.batch_sizes[-1]

    async def segment(self, index: int, file: UploadedFile, order: Order, frame: int) -> Attempt:
        """Segments one frame of a file; its errors are in the result.

        Args:
            index: the file's place in the request.
            file: its bytes.
            order: what the request asks for.
            frame: which frame, from 0.
        """
        try:
            return await self._segment(index, file, order, frame)
        except ServiceError as error:
            return Attempt(index, frame, file, error)
        except Exception:
            _logger.exception("an image failed unexpectedly")
            failure = ServiceError("the service failed on this image")
            return Attempt(index, frame, file, failure)

    async def _segment(self, index: int, file: UploadedFile, order: Order, frame: int) -> Attempt:
        if file.refusal is not None:
            raise file.refusal
        began = time_ns()
        seconds_left = order.deadline - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(order.deadline):
                with self._batcher.admission.place(order.query.lane, seconds_left) as place:
                    decoded = await self._decode(file, order, frame)
                    decoded_at = time_ns()
                    outcome = await self._batcher.submit(
                        decoded.canvas, place, order.model, meanwhile=file.hash
                    )
                instances, seconds = await self._describe(outcome, decoded.facts, order.query)
        except TimeoutError:
            raise DeadlineError("the image was not answered before the deadline") from None
        timings = Timings(
            decode_seconds=decoded.seconds,
            queue_seconds=outcome.queue_seconds,
            inference_seconds=outcome.inference_seconds,
            postprocess_seconds=seconds,
        )
        self._observe(decoded.seconds, outcome, seconds, instances)
        if self._tracing is not None:
            place_in_request = index, frame
            self._tracing.image(place_in_request, began, decoded_at, decoded, outcome, seconds)
        image = _answer(index, file.sha256, decoded.facts, instances, timings)
        return Attempt(index, frame, file, image, decoded.facts, decoded.film, outcome.model)

    async def _decode(self, file: UploadedFile, order: Order, frame: int) -> DecodedFilm:
        if order.query.lane == "interactive":
            return await self._decode_and_hash(file, order, frame)
        async with self._bulk_turns:
            return await self._decode_and_hash(file, order, frame)

    async def _decode_and_hash(self, file: UploadedFile, order: Order, frame: int) -> DecodedFilm:
        if file.length < _HASHED_ASIDE_BYTES:
            return await self._decoder.decode(file.pieces, frame, order.wants_film)
        decoding = self._decoder.decode(file.pieces, frame, order.wants_film)
        hashing = self._in_pool(file.hash)  # beside the process that decodes
        decoded, _ = await asyncio.gather(decoding, hashing)
        return decoded

    async def _in_pool(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def _describe(
        self, outcome: Outcome, film: FilmFacts, query: SegmentQuery
    ) -> tuple[list[Instance], float]:
        """The instances at native size, and the seconds that took."""
        manifest = outcome.model.engine.manifest
        if (outcome.instances.scores < _threshold(query, manifest)).all():
            return [], 0.0  # spares a turn in the pool

        def work() -> tuple[list[Instance], float]:
            started = perf_counter()
            letterbox = Letterbox.fit((film.height, film.width), manifest.canvas_size)
            described = describe(outcome.instances, letterbox, query, manifest)
            return described, perf_counter() - started

        return await self._in_pool(work)

    def _observe(
        self, decode_seconds: float, outcome: Outcome, seconds: float, found: list[Instance]
    ) -> None:
        self._metrics.observe_stage("decode", decode_seconds)
        self._metrics.observe_stage("queue", outcome.queue_seconds)
        self._metrics.observe_stage("inference", outcome.inference_seconds)
        self._metrics.observe_stage("postprocess", seconds)
        for instance in found:
            self._metrics.count_instances(instance.label)


def one_model(attempts: list[Attempt]) -> list[Attempt]:
    """Takes back what another model answered than the first: an answer names one model.

    That can only be where a new model failed while a request of many files was at work, and its
    predecessor answered the rest.
    """
    models = [attempt.model for attempt in attempts if attempt.model is not None]
    error = ModelFailedError("the model was replaced meanwhile: send this file again")
    return [
        attempt
        if attempt.model is None or attempt.model is models[0]
        else Attempt(attempt.index, attempt.frame, attempt.file, error)
        for attempt in attempts
    ]


def describe(
    instances: Instances, letterbox: Letterbox, query: SegmentQuery, manifest: Manifest
) -> list[Instance]:
    """The instances that were asked for, at native size; those without a pixel there are left out.

    Thresholds that the query leaves open are the model's.
    """
    most = query.max_instances
    chosen = instances.select(_threshold(query, manifest), len(instances))
    if query.max_overlap is not None:
        chosen = suppress(chosen, query.max_overlap, manifest.mask_threshold)
    chosen = chosen.select(0, manifest.max_instances if most is None else most)
    masks = encode(chosen, letterbox, manifest.mask_threshold)
    return [
        Instance(
            label=manifest.class_names[label],
            category_id=manifest.category_ids[label],
            score=score,
            bbox=mask.bbox,
            area=mask.area,
            segmentation=Segmentation(size=letterbox.image_size, counts=mask.counts),
        )
        for label, score, mask in zip(
            chosen.labels.tolist(), chosen.scores.tolist(), masks, strict=True
        )
        if mask.area
    ]


def _threshold(query: SegmentQuery, manifest: Manifest) -> float:
    return manifest.score_threshold if query.score_threshold is None else query.score_threshold


def _answer(
    index: int,
    sha256: str,
    film: FilmFacts,
    instances: list[Instance],
    timings: Timings,
) -> ImageAnswer:
    spacing = film.spacing
    return ImageAnswer(
        index=index,
        sha256=sha256,
        height=film.height,
        width=film.width,
        frame=film.frame,
        grey=film.grey,
        pixel_spacing=None
        if spacing is None
        else Spacing(row_mm=spacing.row_mm, column_mm=spacing.column_mm, source=spacing.source),
        instances=instances,
        timings=timings,
    )
