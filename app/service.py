"""Composition root: the parts of a running service, put together once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final

import cv2
from prometheus_client import CollectorRegistry
from pydantic import HttpUrl
from starlette.requests import Request

from app.http.body_limits import BodyLimits
from app.lifecycle import Lifecycle
from app.logging import write
from app.metrics import Metrics
from app.rendering import Renderer
from app.settings import Settings, SettingsError
from solo.async_segmenter import AsyncSegmenter, StartError
from solo.inference.engine import Engine
from solo.inference.precision import open_engine
from solo.inference.providers import GpuOptions
from solo.sandbox.decoder import RadiographDecoder
from solo.sandbox.pool import Sandbox

if TYPE_CHECKING:
    from app.tracing import Tracing

_WARM_UP_SECONDS: Final = 10.0  # between two lines that say so
_logger = logging.getLogger("app.service")


class _Events(Metrics):
    """Metrics that also tell the life cycle what suspends or ends the service."""

    lifecycle: Lifecycle

    def on_health(self, answers: bool) -> None:
        """See `Events`."""
        self.lifecycle.model_answers = answers

    def on_failure(self, reason: str) -> None:
        """See `Events`."""
        self.lifecycle.fail(reason)


@dataclass(frozen=True)
class Service:
    """The service: everything that requests share."""

    settings: Settings
    metrics: Metrics
    lifecycle: Lifecycle
    body_limits: BodyLimits
    answer_limits: BodyLimits
    segmenter: AsyncSegmenter
    renderer: Renderer
    tracing: Tracing | None

    @classmethod
    def build(
        cls,
        settings: Settings,
        routes: Iterable[str],
        engine: Engine | None = None,
        decoder: RadiographDecoder | None = None,
    ) -> Service:
        """Puts a service together; it runs within `running`.

        Args:
            settings: what the operator has set.
            routes: the paths that metrics tell apart.
            engine: the model that answers first, or None to open the settings' own.
            decoder: what decodes files, or None for a sandbox.

        Raises:
            ModelError: if the model cannot be served.
            SettingsError: if traces are asked for without the libraries for them.
        """
        open_model = partial(
            open_engine,
            settings.model,
            settings.provider,
            settings.max_batch,
            settings.precision,
            GpuOptions(settings.cuda_graphs, settings.engine_cache),
            cores=settings.cores,
            key=settings.model_key,
        )
        engine = engine or open_model()
        registry, manifest = CollectorRegistry(), engine.manifest
        metrics = _Events(registry, manifest, engine.batch_sizes, routes, settings.queue_limit)
        metrics.lifecycle = lifecycle = Lifecycle()
        metrics.ready.set_function(lambda: lifecycle.ready)
        body_limits = BodyLimits(
            settings.max_body_bytes, settings.max_bodies_bytes, settings.client_seconds
        )
        answer_limits = BodyLimits(
            0, settings.max_bodies_bytes // 2, settings.client_seconds, "answers"
        )
        metrics.body_bytes.set_function(lambda: body_limits.held_bytes)
        segmenter = AsyncSegmenter(
            engine,
            Sandbox(settings.decode_workers, settings.decode_seconds),
            settings.cores,
            queue_limit=settings.queue_limit,
            max_pixels=settings.max_pixels,
            events=metrics,
            decoder=decoder,
            reopen=open_model,
        )
        metrics.on_model(segmenter.model.identity)
        metrics.drift.manifest = lambda: segmenter.manifest
        metrics.queue_depth.set_function(lambda: segmenter.admission.taken)
        renderer = Renderer(max(1, settings.cores // 2))  # the other half decodes and infers
        tracing = _tracing(settings.traces_endpoint, manifest.version)
        limits = body_limits, answer_limits
        return cls(settings, metrics, lifecycle, *limits, segmenter, renderer, tracing)

    @property
    def engine(self) -> Engine:
        """The model that answers new requests."""
        return self.segmenter.model.engine

    def abandon(self) -> None:
        """Answers everybody who waits with `DrainingError`."""
        self.segmenter.abandon()
        self.renderer.stop()

    @asynccontextmanager
    async def running(self, access: str = "open") -> AsyncIterator[None]:
        """Warms up in the background, so that probes are answered meanwhile, and stops cleanly.

        Args:
            access: who may ask, for the operator to read.
        """
        cv2.setNumThreads(1)  # images run in parallel, not the rows of one
        starting = asyncio.create_task(self._start(access), name="start")
        try:
            yield
        finally:
            self.lifecycle.drain()
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            await self.segmenter.stop()
            self.renderer.stop()
            if self.tracing is not None:
                await self.tracing.stop()
            write(_logger, "stopped")

    def hang_up(self) -> None:
        """What SIGHUP does: the model is reloaded if the operator wants that, once it is warm."""
        if not self.settings.reload_on_hangup:
            remedy = "it reloads the model with SOLO_RELOAD_ON_HANGUP=true"
            write(_logger, "SIGHUP ignored", reason=remedy)
        elif self.lifecycle.phase == "starting":
            write(_logger, "SIGHUP kept", reason="it reloads the model once that is warm")
            self.lifecycle.reload_when_warm = True
        elif self.lifecycle.phase == "serving":
            # A signal comes in the middle of anything that the event loop does.
            asyncio.get_running_loop().call_soon_threadsafe(self.segmenter.reload)
        else:
            write(_logger, "SIGHUP ignored", reason="the service is stopping")

    async def _start(self, access: str) -> None:
        warming_up = asyncio.create_task(self._tell_of_warm_up())
        try:
            await self.segmenter.start()
        except StartError as error:
            self.lifecycle.fail(str(error))
            return
        finally:
            warming_up.cancel()
        self.lifecycle.serve()
        self._tell_of_readiness(access)
        if self.lifecycle.reload_when_warm:
            self.segmenter.reload()

    async def _tell_of_warm_up(self) -> None:
        began = monotonic()
        while True:
            seconds = round(monotonic() - began)
            write(_logger, "warming up", **self._model_facts, seconds=seconds)
            await asyncio.sleep(_WARM_UP_SECONDS)

    def _tell_of_readiness(self, access: str) -> None:
        settings = self.settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        write(
            _logger,
            "ready",
            url=f"http://{host}:{settings.port}",
            page="/",
            **self._model_facts,
            batch_sizes=self.engine.batch_sizes,
            decoders=settings.decode_workers or settings.cores,
            access=access,
            signed=settings.model_key is not None,
        )

    @property
    def _model_facts(self) -> dict[str, str]:
        manifest = self.engine.manifest
        return {
            "model": f"{manifest.name} {manifest.version}",
            "precision": manifest.precision,
            "provider": self.engine.provider,
        }


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
    service: Service = request.app.state.service
    return service
