"""OpenTelemetry traces: where the time of one request went, beside those of other services.

Only imported where an operator asks for traces: the SDK is no part of what serves without. Ready
middleware, OpenTelemetry's own for ASGI among it, tells paths, queries, addresses and exceptions.
Spans have sizes, kinds and numbers, and nothing of a patient: no path but the routes, no query, no
header, no file name, no text of an exception.
"""

from __future__ import annotations

import asyncio
import threading
from time import time_ns

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import (
    SERVICE_NAME,
    SERVICE_VERSION,
    OTELResourceDetector,
    Resource,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.http.request_state import RECORD, RequestState
from app.middleware.api_keys import OPEN_PATHS
from solo.result import Result

_EXPORT_SECONDS = 2.0
_FIRST_SERVER_ERROR = 500
_PROPAGATOR = TraceContextTextMapPropagator()


class Tracing:
    """Spans of requests and of their images, sent by a thread of its own.

    A collector that does not answer costs nobody an answer: spans are dropped.

    Args:
        endpoint: where traces go, by OTLP over HTTP.
        version: of the model. Whatever else is to be set has OpenTelemetry's own variables,
            `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS` and so on.

    Attributes:
        tracer: makes the spans.
    """

    def __init__(self, endpoint: str, version: str) -> None:
        named = Resource({SERVICE_NAME: "solo-xray", SERVICE_VERSION: version})
        self._provider = TracerProvider(
            resource=named.merge(OTELResourceDetector().detect()), shutdown_on_exit=False
        )
        exporter = OTLPSpanExporter(endpoint=endpoint, timeout=_EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self.tracer = self._provider.get_tracer("app")

    def image(self, index: int, began: int, result: Result) -> None:
        """The spans of an image that was answered just now, one stage behind the other.

        Args:
            index: the file's place in the request.
            began: when it was taken up, in nanoseconds of the epoch.
            result: whose timings are told.
        """
        ended, info = time_ns(), result.radiograph
        attributes = {
            "solo.index": index,
            "solo.frame": info.frame,
            "solo.kind": info.kind,
            "solo.encoding": info.encoding,
            "solo.height": info.height,
            "solo.width": info.width,
            "solo.provider": result.model.provider,
        }
        span = self.tracer.start_span("image", start_time=began, attributes=attributes)
        within, end = trace.set_span_in_context(span), ended
        for name, seconds in reversed(vars(result.timings).items()):
            start = end - round(seconds * 1e9)
            stage = name.removesuffix("_seconds")
            self.tracer.start_span(stage, within, start_time=start).end(end)
            end = start
        span.end(ended)

    async def stop(self) -> None:
        """Sends what is left, within bounds of time."""
        last = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        last.start()
        await asyncio.to_thread(last.join, _EXPORT_SECONDS)


class TracingMiddleware:
    """Makes a span of each request but those of probes and of Prometheus.

    The spans of images find it as their parent. Of the headers `traceparent` and `tracestate` are
    looked at (W3C Trace Context).

    Args:
        app: the application within.
        tracing: has the tracer.
    """

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracer = tracing.tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        method, record = scope["method"], scope["state"][RECORD]
        with self._tracer.start_as_current_span(
            f"{method} {record.route}",
            context=_PROPAGATOR.extract(Headers(scope=scope)),
            kind=trace.SpanKind.SERVER,
            record_exception=False,  # whose text may quote the file
            set_status_on_exception=False,
        ) as span:
            try:
                await self._app(scope, receive, send)
            finally:
                _tell(span, method, record)


def _tell(span: trace.Span, method: str, record: RequestState) -> None:
    span.set_attributes(
        {
            "http.request.method": method,
            "http.route": record.route,
            "http.response.status_code": record.status,
            "http.request.body.size": record.received_bytes,
            "solo.request_id": record.request_id,
        }
    )
    if record.error is not None:
        span.set_attribute("error.type", record.error)
    if record.status == 0 or record.status >= _FIRST_SERVER_ERROR:
        span.set_status(trace.StatusCode.ERROR)
