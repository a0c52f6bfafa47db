"""The parts of a running service, put together once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
from prometheus_client import CollectorRegistry
from pydantic import HttpUrl
from starlette.requests import Request

from app.http.body_limits import Intake
from app.lifecycle import Lifecycle
from app.metrics import Metrics
from app.settings import Settings, SettingsError
from solo.batching.batcher import Batcher
from solo.batching.hot_reload import Replacement
from solo.decoding.radiograph import Limits
from solo.inference.cores import usable_cores
from solo.inference.engine import Engine
from solo.inference.model_runner import ServedModel
from solo.sandbox.pool import DecoderPool, FilmDecoder
from solo.segmenter import Segmenter

if TYPE_CHECKING:
    from app.tracing import Tracing


@dataclass(frozen=True)
class Service:
    """Everything that requests share."""

    settings: Settings
    metrics: Metrics
    lifecycle: Lifecycle
    intake: Intake
    batcher: Batcher
    segmenter: Segmenter
    replacement: Replacement
    pool: ThreadPoolExecutor
    decoder: FilmDecoder
    tracing: Tracing | None

    @classmethod
    def build(
        cls,
        settings: Settings,
        engine: Engine,
        routes: Iterable[str],
        open_engine: Callable[[], Engine],
        decoder: FilmDecoder | None = None,
    ) -> Service:
        """Puts a service together; it runs within `running`.

        Raises:
            SettingsError: if traces are asked for without the libraries for them.
        """
        metrics = Metrics(CollectorRegistry(), engine, routes, settings.queue_limit)
        lifecycle = Lifecycle(metrics)
        intake = Intake(settings.max_body_bytes, settings.max_bodies_bytes, settings.client_seconds)
        metrics.body_bytes.set_function(lambda: intake.held_bytes)
        batcher = Batcher(ServedModel(engine), settings.queue_limit, lifecycle, metrics)
        pool = ThreadPoolExecutor(max_workers=usable_cores(), thread_name_prefix="film")
        decoder = decoder or DecoderPool(
            settings.decode_workers,
            engine.manifest.canvas_size,
            Limits(settings.max_pixels),
            settings.decode_seconds,
            lifecycle.fail,
        )
        tracing = _tracing(settings.traces_endpoint, engine.manifest.version)
        segmenter = Segmenter(batcher, pool, decoder, settings.decode_workers, metrics, tracing)
        replacement = Replacement(open_engine, batcher, metrics)
        return cls(
            settings, metrics, lifecycle, intake, batcher, segmenter, replacement, pool, decoder,
            tracing,
        )  # fmt: skip

    @property
    def engine(self) -> Engine:
        """The model that answers new requests."""
        return self.batcher.model.engine

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Warms up in the background, so that probes are answered meanwhile, and stops cleanly."""
        cv2.setNumThreads(1)  # images run in parallel, not the rows of one
        starting = asyncio.create_task(self._start(), name="start")
        try:
            yield
        finally:
            self.lifecycle.drain()
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            await self.batcher.stop()
            await self.decoder.stop()
            self.pool.shutdown(wait=False, cancel_futures=True)
            if self.tracing is not None:
                await self.tracing.stop()

    async def _start(self) -> None:
        try:
            await self.decoder.start()
        except Exception as error:
            self.lifecycle.fail(f"decoders cannot be started: {type(error).__name__}")
            return
        try:
            await self.batcher.start()
        except Exception as error:
            # It ran on empty images, so that its words can hold nothing of a patient.
            reason = " ".join(str(error).split())
            self.lifecycle.fail(f"the model cannot be warmed up: {type(error).__name__}: {reason}")
        else:
            self.lifecycle.serve()
            if self.settings.reload_on_hangup:
                loop = asyncio.get_running_loop()
                loop.add_signal_handler(signal.SIGHUP, self.replacement.begin)


def _tracing(endpoint: HttpUrl | None, version: str) -> Tracing | None:
    if endpoint is None:
        return None
    try:
        from app.tracing import Tracing  # the libraries are loaded only where they are used
    except ImportError as error:
        raise SettingsError(
            f"SOLO_TRACES_ENDPOINT needs the libraries of the group `tracing`: {error}"
        ) from error
    return Tracing(str(endpoint), version)


def service_of(request: Request) -> Service:
    """The service that a request came to."""
    service = request.app.state.service
    if not isinstance(service, Service):
        raise TypeError("the application was not made by create_app")
    return service
