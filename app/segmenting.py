"""One frame's way through the service: decode, letterbox, wait, infer, encode.

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

from app.batching import Batcher, Canvas, Outcome
from app.decoding.decode import decode
from app.decoding.radiograph import FileKind, Limits, Radiograph
from app.errors import DeadlineError, ServiceError
from app.inference import Engine
from app.masks import encode
from app.metrics import Metrics
from app.schemas import ImageAnswer, Instance, Segmentation, SegmentQuery, Spacing, Timings
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
class Source:
    """What an answered image came from: the file's kind, its encoding and its number of frames."""

    kind: FileKind
    encoding: str
    frames: int


@dataclass(frozen=True)
class Attempt:
    """What became of one frame of a file.

    Attributes:
        index: the file's place in the request.
        frame: which of its frames.
        sha256: of the file's bytes.
        result: its answer, or why there is none.
        source: what an answer came from.
    """

    index: int
    frame: int
    sha256: str
    result: ImageAnswer | ServiceError
    source: Source | None = None


class Segmenter:
    """Segments single frames.

    Args:
        engine: whose manifest says how.
        batcher: the way to the engine.
        pool: threads that decode and encode.
        limits: what a file may ask of the decoder.
        metrics: told of the time in each stage.

    Attributes:
        max_batch: most images that share one run of the model.
    """

    def __init__(
        self,
        engine: Engine,
        batcher: Batcher,
        pool: ThreadPoolExecutor,
        limits: Limits,
        metrics: Metrics,
    ) -> None:
        self.max_batch = engine.batch_sizes[-1]
        self._manifest = engine.manifest
        self._batcher = batcher
        self._pool = pool
        self._limits = limits
        self._metrics = metrics

    async def segment(
        self, index: int, file: UploadedFile, query: SegmentQuery, deadline: float, frame: int
    ) -> Attempt:
        """Segments one frame of a file; its errors are in the result.

        Args:
            index: the file's place in the request.
            file: its bytes.
            query: the request's parameters.
            deadline: event loop time by which the answer must be there.
            frame: which frame, from 0.
        """
        try:
            answer, source = await self._segment(index, file, query, deadline, frame)
        except ServiceError as error:
            return Attempt(index, frame, file.sha256, error)
        except Exception:
            _logger.exception("an image failed unexpectedly")
            failure = ServiceError("the service failed on this image")
            return Attempt(index, frame, file.sha256, failure)
        return Attempt(index, frame, file.sha256, answer, source)

    async def _segment(
        self, index: int, file: UploadedFile, query: SegmentQuery, deadline: float, frame: int
    ) -> tuple[ImageAnswer, Source]:
        if file.refusal is not None:
            raise file.refusal
        try:
            async with asyncio.timeout_at(deadline):
                with self._batcher.place() as place:
                    prepared = await self._in_pool(self._prepare, file.data, frame)
                    outcome = await self._batcher.infer(prepared.canvas, place)
                instances, seconds = await self._in_pool(
                    self._describe, outcome.instances, prepared.letterbox, query
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
        film = prepared.radiograph
        answer = _answer(index, file.sha256, film, instances, timings)
        return answer, Source(film.kind, film.encoding, film.frames)

    async def _in_pool(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: work(*args, **kwargs))

    def _prepare(self, data: bytes, frame: int) -> Prepared:
        started = perf_counter()
        radiograph = decode(data, self._limits, frame)
        height, width = radiograph.pixels.shape
        letterbox = Letterbox.fit((height, width), self._manifest.canvas_size)
        canvas = letterbox.apply(radiograph.pixels)
        return Prepared(radiograph, letterbox, canvas, perf_counter() - started)

    def _describe(
        self, instances: Instances, letterbox: Letterbox, query: SegmentQuery
    ) -> tuple[list[Instance], float]:
        started = perf_counter()
        described = describe(instances, letterbox, query, self._manifest)
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
