"""Hang-ups, a dead device and a new model, each with a process of its own."""

from __future__ import annotations

import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.engines import manifest, write_tiny_model
from tests.support.films import flat, png
from tests.support.processes import STOP_SECONDS, ServiceProcess, serving

SCRIPTED = "tests.support.scripted_service"
SLOW, DEADLY, GOOD = png(flat(255)), png(flat(0)), png(flat(200))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def value(service: ServiceProcess, sample: str) -> float:
    lines = httpx.get(f"{service.url}/metrics").text.splitlines()
    (found,) = (line for line in lines if line.startswith(sample + " "))
    return float(found.rpartition(" ")[2])


def post(service: ServiceProcess, body: bytes, **headers: str) -> httpx.Response:
    return httpx.post(f"{service.url}/segment", content=body, headers=headers, timeout=20)


class Background:
    """Requests in threads."""

    def __init__(self) -> None:
        self.answers: list[httpx.Response] = []
        self._threads: list[threading.Thread] = []

    def post(self, service: ServiceProcess, body: bytes) -> None:
        thread = threading.Thread(target=lambda: self.answers.append(post(service, body)))
        thread.start()
        self._threads.append(thread)

    def join(self) -> list[int]:
        for thread in self._threads:
            thread.join(STOP_SECONDS)
        return [answer.status_code for answer in self.answers]


def test_who_hangs_up_is_not_computed_for_and_probes_answer_meanwhile(tmp_path: Path) -> None:
    with serving(tmp_path / "output", module=SCRIPTED, max_batch=4) as running:
        clients = Background()
        clients.post(running, SLOW)
        until(lambda: value(running, "solo_batch_size_count") == 1)
        host, port = running.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as leaving:
            head = f"POST /segment HTTP/1.1\r\nHost: x\r\nContent-Length: {len(GOOD)}\r\n\r\n"
            leaving.sendall(head.encode() + GOOD)
            until(lambda: value(running, "solo_queue_depth") == 1)
        until(lambda: value(running, "solo_queue_depth") == 0)
        assert httpx.get(f"{running.url}/healthz/ready").status_code == 200
        assert clients.join() == [200]
        assert value(running, "solo_batch_size_count") == 1
        assert value(running, 'solo_rejected_total{reason="client-gone"}') == 1
        assert running.stop() == 0


def test_a_dead_device_ends_the_process_once_all_are_answered(tmp_path: Path) -> None:
    with serving(tmp_path / "output", module=SCRIPTED, max_batch=1) as running:
        clients = Background()
        clients.post(running, SLOW)
        until(lambda: value(running, "solo_batch_size_count") == 1)
        for body in (DEADLY, GOOD, GOOD):
            clients.post(running, body)
        statuses = clients.join()
        assert sorted(statuses) == [200, 503, 503, 503]
        assert running.process.wait(STOP_SECONDS) == 1
    assert "Traceback" not in running.log()


def test_a_new_model_takes_over_without_a_lost_request(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "served.onnx", manifest(version="1"))
    second = write_tiny_model(tmp_path / "second.onnx", manifest(version="2"))
    other = write_tiny_model(tmp_path / "other.onnx", manifest(class_names=("a", "b")))
    settings: dict[str, Any] = {"model": path, "provider": "cpu", "reload_on_hangup": "true"}
    with serving(tmp_path / "output", **settings) as running:
        versions: list[str] = []
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                answer = post(running, GOOD)
                versions.append(answer.json()["model"]["version"] if answer.is_success else "")

        client = threading.Thread(target=ask)
        client.start()
        until(lambda: "1" in versions)
        _replace(running, path, second)
        until(lambda: "2" in versions)
        _replace(running, path, other)
        refused = 'solo_model_replacements_total{outcome="refused"}'
        until(lambda: value(running, refused) == 1)
        done.set()
        client.join(STOP_SECONDS)
        assert versions == sorted(versions)
        assert set(versions) == {"1", "2"}
        assert httpx.get(f"{running.url}/model").json()["version"] == "2"
        assert running.stop() == 0


def _replace(running: ServiceProcess, path: Path, by: Path) -> None:
    """As an operator does: a rename, so that no half-written file is ever there."""
    shutil.copy(by, path.with_suffix(".new"))
    path.with_suffix(".new").rename(path)
    running.process.send_signal(signal.SIGHUP)


def test_a_lame_duck_takes_requests_but_is_not_ready(tiny_model: Path, tmp_path: Path) -> None:
    with serving(tmp_path / "output", model=tiny_model, lame_duck_seconds=1.5) as running:
        running.process.terminate()
        until(lambda: httpx.get(f"{running.url}/healthz/ready").status_code == 503)
        assert httpx.get(f"{running.url}/healthz/ready").json() == {"status": "leaving"}
        assert post(running, GOOD).status_code == 200
        assert running.process.wait(STOP_SECONDS) == 0


@pytest.mark.parametrize("given", ["0", "-1", "nan", "inf", "soon", ""])
def test_a_deadline_that_is_none_is_refused(service: ServiceProcess, given: str) -> None:
    answer = post(service, GOOD, **{"X-Request-Timeout-Seconds": given})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("x-request-timeout-seconds")


def test_a_deadline_that_cannot_be_met_is_429(service: ServiceProcess) -> None:
    answer = post(service, GOOD, **{"X-Request-Timeout-Seconds": "1e-9"})
    assert answer.status_code == 429
    assert answer.json()["type"] == "urn:solo-xray:problem:too-busy"
    assert int(answer.headers["retry-after"]) >= 1
    assert post(service, GOOD, **{"X-Request-Timeout-Seconds": "30"}).status_code == 200


def test_lanes_and_what_is_none(service: ServiceProcess) -> None:
    url = f"{service.url}/segment"
    for lane in ("bulk", "interactive"):
        assert httpx.post(url, params={"lane": lane}, content=GOOD).status_code == 200
    refused = httpx.post(url, params={"lane": "planted"}, content=GOOD)
    assert refused.status_code == 422
    assert refused.json()["detail"] == "lane: Input should be 'interactive' or 'bulk'"


def test_parameters_are_documented(service: ServiceProcess) -> None:
    document = httpx.get(f"{service.url}/openapi.json").json()
    parameters = document["paths"]["/segment"]["post"]["parameters"]
    places = {parameter["name"]: parameter["in"] for parameter in parameters}
    assert places == {
        "score_threshold": "query",
        "max_instances": "query",
        "max_overlap": "query",
        "format": "query",
        "frame": "query",
        "pixels": "query",
        "lane": "query",
        "x-request-timeout-seconds": "header",
    }
