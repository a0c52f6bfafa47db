"""A model that is cold, stopped or broken, and a program that is."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from app.logging import JsonFormatter
from app.main import create_app
from app.settings import Settings
from tests.support.batching import until
from tests.support.decoders import DecoderHere
from tests.support.engines import FakeEngine
from tests.support.in_process import client, post

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_before_the_model_is_warm_and_after_it_stops_the_answer_is_503() -> None:
    class Cold(FakeEngine):
        warm = threading.Event()

        def warm_up(self) -> dict[int, float]:
            assert self.warm.wait(10)
            return super().warm_up()

    app = create_app(Settings(model=Path("unused")), Cold(), DecoderHere())
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as http,
    ):
        assert (await http.get("/healthz/live")).status_code == 200
        assert (await http.get("/healthz/ready")).status_code == 503
        starting = await post(http)
        assert (starting.status_code, starting.json()["title"]) == (503, "The service is starting")
        Cold.warm.set()
        lifecycle = app.state.service.lifecycle
        await until(lambda: lifecycle.ready)
        assert (await post(http)).status_code == 200
        lifecycle.drain()
        assert (await http.get("/healthz/ready")).json() == {"status": "draining"}
        draining = await post(http)
        assert draining.status_code == 503
        assert "retry-after" in draining.headers


async def test_a_model_that_fails_while_warming_up_is_fatal() -> None:
    class Broken(FakeEngine):
        def warm_up(self) -> dict[int, float]:
            raise RuntimeError("planted detail")

    app = create_app(Settings(model=Path("unused")), Broken(), DecoderHere())
    async with app.router.lifespan_context(app):
        lifecycle = app.state.service.lifecycle
        await until(lambda: lifecycle.fatal is not None)
        assert lifecycle.fatal == "the model cannot be warmed up: RuntimeError: planted detail"


async def test_a_failing_model_answers_503_and_says_nothing_of_why() -> None:
    def fail(_: npt.NDArray[np.float32] | None) -> None:
        raise RuntimeError("planted detail")

    async with client(FakeEngine(fail, before_self_test=lambda: fail(None))) as http:
        answer = await post(http)
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:solo-xray:problem:draining"
        assert "planted" not in answer.text
        assert (await http.get("/healthz/ready")).status_code == 503


async def test_an_unexpected_exception_is_500_and_its_text_leaks_nowhere(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("planted detail")

    async with client() as http:
        monkeypatch.setattr(DecoderHere, "decode", broken)
        image = await post(http)
        monkeypatch.setattr("app.routes.read_upload", broken)
        request = await post(http)
    for answer in (image, request):
        assert answer.status_code == 500
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["type"] == "urn:solo-xray:problem:internal"
        assert answer.headers["x-request-id"] == answer.json()["request_id"]
        assert "planted" not in answer.text
    lines = [JsonFormatter().format(record) for record in caplog.records]
    assert any('"exception": "RuntimeError"' in line for line in lines)
    assert not any("planted" in line for line in lines)
