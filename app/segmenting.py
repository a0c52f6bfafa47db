"""One image's way through the service: decode, letterbox, wait, infer, encode.

Decoding and encoding run in a thread pool of their own, so that probes are answered meanwhile.
The errors of one image stay with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import ParamSpec, TypeVar

from app.batching import Batcher
from app.cores import usable_cores
from app.decoding.decode import decode
from app.decoding.radiograph import Limits, Radiograph
from app.errors import DeadlineError, ModelFailedError, ServiceError
from app.flights import Outcome
from app.masks import encode
from app.metrics import Metrics
from app.schemas import ImageAnswer, Instance, Segmentation, SegmentQuery, Spacing, Timings
from app.served_model import Canvas, ServedModel
from app.upload import UploadedFile
from model.contract.instances import Instances
from model.contract.manifest import Manifest
from model.contract.preprocess import Letterbox

P = ParamSpec("P")
T = TypeVar("T")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A decoded image on the model's canvas."""

    radiograph: Radiograph
    letterbox: Letterbox
    canvas: Canvas
    seconds: float


@dataclass(frozen=True)
class Attempt:
    """What became of one file.

    Attributes:
        file: what was sent.
        result: its answer, or why there is none.
        radiograph: the decoded image of an answer.
        model: what answered.
    """

    file: UploadedFile
    result: ImageAnswer | ServiceError
    radiograph: Radiograph | None = None
    model: ServedModel | None = None


@dataclass(frozen=True)
class Order:
    """What a request asks for each of its files.

    Attributes:
        query: its parameters.
        model: the one that serves when the request comes; all its images are for this one.
        deadline: event loop time by which the answer must be there.
    """

    query: SegmentQuery
    model: ServedModel
    deadline: float


class Segmenter:
    """Segments single files.

    Args:
        batcher: the way to the model.
        pool: threads that decode and encode.
        limits: what a file may ask of the decoder.
        metrics: told of the time in each stage.
    """

    def __init__(
        self,
        batcher: Batcher,
        pool: ThreadPoolExecutor,
        limits: Limits,
        metrics: Metrics,
    ) -> None:
        self._batcher = batcher
        self._pool = pool
        self._limits = limits
        self._metrics = metrics
        # An archive leaves a thread to those who look at a screen, where there are two.
        self._bulk_turns = asyncio.Semaphore(max(1, usable_cores() - 1))

    async def segment(self, index: int, file: UploadedFile, order: Order) -> Attempt:
        """Segments one file; its errors are in the result.

        Args:
            index: its place in the request.
            file: its bytes.
            order: what the request asks for.
        """
        try:
            return await self._segment(index, file, order)
        except ServiceError as error:
            return Attempt(file, error)
        except Exception:
            _logger.exception("an image failed unexpectedly")
            return Attempt(file, ServiceError("the service failed on this image"))

    async def _segment(self, index: int, file: UploadedFile, order: Order) -> Attempt:
        if file.refusal is not None:
            raise file.refusal
        seconds_left = order.deadline - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(order.deadline):
                with self._batcher.admission.place(order.query.lane, seconds_left) as place:
                    prepared = await self._decode(file, order)
                    outcome = await self._batcher.infer(prepared.canvas, place, order.model)
                manifest = outcome.model.engine.manifest
                instances, seconds = await self._in_pool(
                    self._describe, outcome.instances, prepared.letterbox, order.query, manifest
                )
        except TimeoutError:
            raise DeadlineError("the image was not answered before the deadline") from None
        timings = Timings(
            decode_seconds=prepared.seconds,
            queue_seconds=outcome.queue_seconds,
            inference_seconds=outcome.inference_seconds,
            postprocess_seconds=seconds,
        )
        self._observe(prepared.seconds, outcome, seconds, instances)
        answer = _answer(index, file.sha256, prepared.radiograph, instances, timings)
        return Attempt(file, answer, prepared.radiograph, outcome.model)

    async def _decode(self, file: UploadedFile, order: Order) -> Prepared:
        if order.query.lane == "interactive":
            return await self._in_pool(self._prepare, file, order)
        async with self._bulk_turns:
            return await self._in_pool(self._prepare, file, order)

    async def _in_pool(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: work(*args, **kwargs))

    def _prepare(self, file: UploadedFile, order: Order) -> Prepared:
        started = perf_counter()
        radiograph = decode(file.data, self._limits, order.query.frame)
        file.sha256  # noqa: B018 (computed here and not on the event loop)
        height, width = radiograph.pixels.shape
        letterbox = Letterbox.fit((height, width), order.model.engine.manifest.canvas_size)
        canvas = letterbox.apply(radiograph.pixels)
        return Prepared(radiograph, letterbox, canvas, perf_counter() - started)

    def _describe(
        self,
        instances: Instances,
        letterbox: Letterbox,
        query: SegmentQuery,
        manifest: Manifest,
    ) -> tuple[list[Instance], float]:
        started = perf_counter()
        described = describe(instances, letterbox, query, manifest)
        return described, perf_counter() - started

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
        else Attempt(attempt.file, error)
        for attempt in attempts
    ]


def describe(
    instances: Instances, letterbox: Letterbox, query: SegmentQuery, manifest: Manifest
) -> list[Instance]:
    """The instances that were asked for, at native size; those without a pixel there are left out.

    Thresholds that the query leaves open are the model's.
    """
    threshold, most = query.score_threshold, query.max_instances
    chosen = instances.select(
        manifest.score_threshold if threshold is None else threshold,
        manifest.max_instances if most is None else most,
    )
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


def _answer(
    index: int,
    sha256: str,
    radiograph: Radiograph,
    instances: list[Instance],
    timings: Timings,
) -> ImageAnswer:
    height, width = radiograph.pixels.shape
    spacing = radiograph.spacing
    return ImageAnswer(
        index=index,
        sha256=sha256,
        height=height,
        width=width,
        frame=radiograph.frame,
        grey=radiograph.grey,
        pixel_spacing=None
        if spacing is None
        else Spacing(row_mm=spacing.row_mm, column_mm=spacing.column_mm, source=spacing.source),
        instances=instances,
        timings=timings,
    )
