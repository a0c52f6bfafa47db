from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from solo.contract.manifest import RESEARCH_USE_ONLY
from solo.inference.cores import usable_cores
from tests.support.decoders import is_running, workers_of
from tests.support.engines import manifest, write_tiny_model
from tests.support.films import flat, png
from tests.support.processes import ServiceProcess, run_to_end, serving


def test_probes_and_the_model_are_told(http: httpx.Client) -> None:
    assert http.get("/healthz/live").json() == {"status": "alive"}
    ready = {"status": "ready", "provider": "CPUExecutionProvider"}
    assert http.get("/healthz/ready").json() == ready
    model = http.get("/model").json()
    assert model["class_names"] == ["bright", "dark"]
    assert len(model["sha256"]) == 64
    assert set(manifest().model_dump()) <= set(model)


def test_the_documentation_needs_no_internet(http: httpx.Client) -> None:
    page = http.get("/docs").text
    assert "//cdn" not in page
    assert "https://" not in page
    assert '"validatorUrl": null' in page
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert assets
    for asset in assets:
        assert asset[0] != "/"  # relative, for a balancer's path before it
        assert http.get(f"/{asset}").status_code == 200
    assert http.get("/redoc").status_code == 404
    document = http.get("/openapi.json").json()
    assert RESEARCH_USE_ONLY in document["info"]["description"]
    assert RESEARCH_USE_ONLY in document["components"]["schemas"]["SegmentAnswer"]["description"]
    body = document["paths"]["/segment"]["post"]["requestBody"]["content"]
    assert {"application/dicom", "image/png", "image/jpeg", "multipart/form-data"} <= set(body)
    responses = document["paths"]["/segment"]["post"]["responses"]
    assert {"200", "400", "413", "415", "422", "429", "503", "504"} <= set(responses)
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_metrics_start_at_zero_and_count(http: httpx.Client) -> None:
    def value(sample: str) -> float:
        lines = http.get("/metrics").text.splitlines()
        (found,) = (line for line in lines if line.startswith(sample + " "))
        return float(found.rpartition(" ")[2])

    assert value('solo_rejected_total{reason="deadline"}') == 0
    assert value('solo_requests_total{code="504",route="/segment"}') == 0
    before = value('solo_requests_total{code="200",route="/segment"}')
    assert http.post("/segment", content=png(flat(255))).status_code == 200
    assert http.post("/segment", content=b"x").status_code == 400
    assert value('solo_requests_total{code="200",route="/segment"}') == before + 1
    assert value('solo_rejected_total{reason="malformed"}') == 1
    assert value('solo_instances_total{label="bright"}') == 1
    assert value('solo_instances_total{label="dark"}') == 0
    for stage in ("receive", "decode", "queue", "inference", "postprocess", "total"):
        assert value(f'solo_stage_seconds_count{{stage="{stage}"}}') >= 1
    assert value("solo_batch_size_count") >= 1
    assert value("solo_queue_depth") == 0
    assert value("solo_ready") == 1
    assert 'provider="CPUExecutionProvider"' in http.get("/metrics").text


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"max_batchsize": 3}, "SOLO_MAX_BATCHSIZE"),
        ({"port": "many"}, "SOLO_PORT=many"),
        ({"provider": "cuda"}, "the provider is set to cuda"),
        ({"model": "absent.onnx"}, "absent.onnx"),
    ],
)
def test_a_bad_start_is_one_sentence(
    tiny_model: Path, settings: dict[str, object], text: str
) -> None:
    if settings.get("provider") == "cuda":
        onnxruntime = pytest.importorskip("onnxruntime")
        if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
            pytest.skip("this ONNX Runtime was built with CUDA")
    ended = run_to_end(**{"model": tiny_model, **settings})
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert text in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_model_without_a_manifest_is_one_sentence(tmp_path: Path) -> None:
    ended = run_to_end(model=write_tiny_model(tmp_path / "bare.onnx"))
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "solo_xray_manifest" in ended.stderr


@pytest.fixture
def stopping(tiny_model: Path, tmp_path: Path) -> Iterator[ServiceProcess]:
    with serving(tmp_path / "output", model=tiny_model, drain_seconds=20) as running:
        yield running


def test_an_idle_service_stops_at_once_with_exit_code_0(stopping: ServiceProcess) -> None:
    with httpx.Client(base_url=stopping.url) as http:
        assert http.get("/healthz/live").status_code == 200  # the connection stays open
        decoders = workers_of(stopping.process.pid)
        assert len(decoders) == usable_cores()
        assert stopping.stop() == 0
    assert not any(map(is_running, decoders))
    assert "Traceback" not in stopping.log()


def test_requests_in_flight_are_answered_before_the_end(stopping: ServiceProcess) -> None:
    data = png(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64))
    sent, signalled = threading.Event(), threading.Event()
    answers: list[httpx.Response] = []

    def body() -> Iterator[bytes]:
        yield data[:100]
        sent.set()
        assert signalled.wait(10)
        yield data[100:]

    def ask() -> None:
        answers.append(httpx.post(f"{stopping.url}/segment", content=body(), timeout=20))

    client = threading.Thread(target=ask)
    client.start()
    assert sent.wait(10)
    wait_for_log(stopping)
    stopping.process.terminate()
    with httpx.Client(base_url=stopping.url) as http:
        statuses = poll_readiness(http)
        refused = http.post("/segment", content=data)
    assert statuses[-1] == 503
    assert refused.status_code == 503
    assert refused.json()["type"] == "urn:solo-xray:problem:draining"
    signalled.set()
    client.join(20)
    assert stopping.process.wait(20) == 0
    assert [answer.status_code for answer in answers] == [200]


def wait_for_log(service: ServiceProcess) -> None:
    """A round trip on a second connection: the first one's request has been taken up by then."""
    for _ in range(3):
        assert httpx.get(f"{service.url}/healthz/live").status_code == 200


def poll_readiness(http: httpx.Client) -> list[int]:
    statuses = [http.get("/healthz/ready").status_code]
    while statuses[-1] == 200 and len(statuses) < 1000:
        statuses.append(http.get("/healthz/ready").status_code)
    return statuses


def test_the_drain_has_an_end(tiny_model: Path, tmp_path: Path) -> None:
    never = threading.Event()

    def body() -> Iterator[bytes]:
        yield b"\x89PNG"
        never.wait(10)
        yield b"end"

    answers: list[httpx.Response] = []
    with serving(tmp_path / "output", model=tiny_model, drain_seconds=0.2) as running:
        started = threading.Event()

        def ask() -> None:
            started.set()
            answers.append(httpx.post(f"{running.url}/segment", content=body(), timeout=20))

        client = threading.Thread(target=ask)
        client.start()
        assert started.wait(10)
        wait_for_log(running)
        assert running.stop() == 0
        never.set()
        client.join(20)
    (answer,) = answers
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:solo-xray:problem:draining"
