"""Traces as a collector gets them from a real process."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.main import create_app
from app.settings import Settings, SettingsError
from tests.support.dicom import INSTANCE_UID, PATIENT_ID, PATIENT_NAME, dicom_file
from tests.support.engines import FakeEngine
from tests.support.films import chest, flat, png
from tests.support.processes import serving

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
STAGES = {"decode", "queue", "inference", "postprocess"}
FILM = dicom_file(chest())


class Collector(ThreadingHTTPServer):
    """Keeps what is sent to it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/traces"

    @property
    def resources(self) -> list[Any]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [resource for request in requests for resource in request.resource_spans]

    @property
    def spans(self) -> list[Any]:
        return [s for resource in self.resources for sc in resource.scope_spans for s in sc.spans]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def collecting() -> Iterator[Collector]:
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join()


def attributes(span: Any) -> dict[str, Any]:
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in span.attributes
    }


def named(spans: list[Any], name: str) -> list[Any]:
    return [span for span in spans if span.name == name]


def test_a_collector_sees_the_stages_and_nothing_of_a_patient(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    with collecting() as collector:
        settings: dict[str, Any] = {"traces_endpoint": collector.endpoint, "decode_workers": 1}
        with serving(tmp_path / "output", model=tiny_model, **settings) as running:
            with httpx.Client(base_url=running.url, timeout=30) as http:
                parent = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
                parts = [("f", (f"{PATIENT_NAME}.dcm", body)) for body in (FILM, png(flat(255)))]
                good = http.post("/segment", files=parts, headers=parent)
                assert good.status_code == 200
                bad = http.post(f"/segment?{PATIENT_NAME}={PATIENT_ID}", content=FILM)
                assert bad.status_code == 422
                http.get(f"/{PATIENT_ID}", headers={"x-request-id": PATIENT_NAME})
                unsampled = {"traceparent": f"00-{TRACE}-{PARENT}-00"}
                assert http.post("/segment", content=FILM, headers=unsampled).status_code == 200
            assert running.stop() == 0
    spans = collector.spans
    (request, refused), images = named(spans, "POST /segment"), named(spans, "image")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert attributes(request)["solo.request_id"] == good.json()["request_id"]
    assert attributes(request)["http.response.status_code"] == 200
    assert attributes(refused)["error.type"] == "invalid-parameter"
    assert refused.trace_id != request.trace_id
    assert len(named(spans, "GET other")) == 1
    assert len(spans) == 3 + 2 * (1 + len(STAGES))  # neither probes nor what nobody samples

    assert [image.parent_span_id for image in images] == [request.span_id] * 2
    for image in images:
        stages = [span for span in spans if span.parent_span_id == image.span_id]
        assert {stage.name for stage in stages} == STAGES
        told = good.json()["images"][attributes(image)["solo.index"]]["timings"]
        for stage in stages:
            assert stage.trace_id.hex() == TRACE
            assert image.start_time_unix_nano <= stage.start_time_unix_nano
            assert stage.end_time_unix_nano <= image.end_time_unix_nano
            seconds = (stage.end_time_unix_nano - stage.start_time_unix_nano) / 1e9
            assert seconds == pytest.approx(told[f"{stage.name}_seconds"], abs=1e-6)
    resource = attributes(collector.resources[0].resource)
    assert resource["service.name"] == "solo-xray"
    assert resource["deployment.environment.name"] == "test"
    sent = b"".join(collector.bodies)
    for secret in (PATIENT_NAME, PATIENT_ID, INSTANCE_UID, "127.0.0.1"):
        assert secret.encode() not in sent


def test_a_collector_that_is_not_there_costs_nobody_an_answer(
    tiny_model: Path, tmp_path: Path
) -> None:
    with collecting() as collector:
        gone = collector.endpoint
    settings: dict[str, Any] = {"traces_endpoint": gone, "decode_workers": 1}
    with serving(tmp_path / "output", model=tiny_model, **settings) as running:
        assert httpx.post(f"{running.url}/segment", content=FILM).status_code == 200
        began = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - began < 15


def test_a_variable_of_a_library_switches_nothing_on(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastAPI would send queries and the texts of exceptions."""
    with collecting() as collector:
        monkeypatch.setenv("FASTAPI_OTEL_AUTO_CONFIGURE", "true")
        monkeypatch.setenv(
            "OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint.removesuffix("/v1/traces")
        )
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        with serving(tmp_path / "output", model=tiny_model, decode_workers=1) as running:
            assert httpx.post(f"{running.url}/segment", content=FILM).status_code == 200
            assert running.stop() == 0
        assert collector.bodies == []


def test_without_the_libraries_the_start_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    monkeypatch.delitem(sys.modules, "app.tracing", raising=False)
    settings = Settings.model_validate({"traces_endpoint": "http://collector:4318/v1/traces"})
    with pytest.raises(SettingsError, match="SOLO_TRACES_ENDPOINT needs the libraries"):
        create_app(settings, FakeEngine())
