"""One image's way through the service: decode, wait, infer, encode.

Decoding runs in processes of its own and encoding in a thread pool, so that probes are answered
meanwhile. The errors of one image stay with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter
from typing import ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt

from app.batching import Batcher, Outcome
from app.errors import DeadlineError, ServiceError
from app.inference import Engine
from app.isolation.messages import FilmFacts
from app.isolation.pool import FilmDecoder
from app.masks import encode
from app.metrics import Metrics
from app.schemas import ImageAnswer, Instance, Segmentation, SegmentQuery, Spacing, Timings
from app.suppression import suppress
from app.upload import UploadedFile
from model.contract.instances import Instances
from model.contract.manifest import Manifest
from model.contract.preprocess import Letterbox

P = ParamSpec("P")
T = TypeVar("T")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Attempt:
    """What became of one file.

    Attributes:
        sha256: of its bytes.
        result: its answer, or why there is none.
        film: what is known of the decoded image of an answer.
        pixels: of the film, uint8 [height, width], where a picture of it was asked for.
    """

    sha256: str
    result: ImageAnswer | ServiceError
    film: FilmFacts | None = None
    pixels: npt.NDArray[np.uint8] | None = None


class Segmenter:
    """Segments single files.

    Args:
        engine: whose manifest says how.
        batcher: the way to the engine.
        pool: threads that encode.
        decoder: turns files into canvases.
        metrics: told of the time in each stage.
    """

    def __init__(
        self,
        engine: Engine,
        batcher: Batcher,
        pool: ThreadPoolExecutor,
        decoder: FilmDecoder,
        metrics: Metrics,
    ) -> None:
        self._manifest = engine.manifest
        self._batcher = batcher
        self._pool = pool
        self._decoder = decoder
        self._metrics = metrics

    async def segment(
        self, index: int, file: UploadedFile, query: SegmentQuery, deadline: float
    ) -> Attempt:
        """Segments one file; its errors are in the result.

        Args:
            index: its place in the request.
            file: its bytes.
            query: the request's parameters.
            deadline: event loop time by which the answer must be there.
        """
        try:
            return await self._segment(index, file, query, deadline)
        except ServiceError as error:
            return Attempt(file.sha256, error)
        except Exception:
            _logger.exception("an image failed unexpectedly")
            return Attempt(file.sha256, ServiceError("the service failed on this image"))

    async def _segment(
        self, index: int, file: UploadedFile, query: SegmentQuery, deadline: float
    ) -> Attempt:
        if file.refusal is not None:
            raise file.refusal
        try:
            async with asyncio.timeout_at(deadline):
                with self._batcher.place() as place:
                    decoded = await self._decoder.decode(
                        file.data, query.frame, film=query.format == "overlay"
                    )
                    outcome = await self._batcher.infer(decoded.canvas, place)
                size = decoded.facts.height, decoded.facts.width
                letterbox = Letterbox.fit(size, self._manifest.canvas_size)
                instances, seconds = await self._in_pool(
                    self._describe, outcome.instances, letterbox, query
                )
        except TimeoutError:
            raise DeadlineError("the image was not answered before the deadline") from None
        timings = Timings(
            decode_seconds=decoded.seconds,
            queue_seconds=outcome.queue_seconds,
            inference_seconds=outcome.inference_seconds,
            postprocess_seconds=seconds,
        )
        self._observe(decoded.seconds, outcome, seconds, instances)
        answer = _answer(index, file.sha256, decoded.facts, instances, timings)
        return Attempt(file.sha256, answer, decoded.facts, decoded.film)

    async def _in_pool(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: work(*args, **kwargs))

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
        manifest.score_threshold if threshold is None else threshold, len(instances)
    )
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
