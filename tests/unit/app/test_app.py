"""The application in this process, with an engine made of Python."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from app.isolation.pool import DecodedFilm, FilmDecoder
from app.journal import FIELDS_ATTRIBUTE
from app.main import create_app
from app.settings import Settings
from tests.support.decoders import DecoderHere
from tests.support.engines import FakeEngine
from tests.support.films import flat, png

pytestmark = pytest.mark.anyio

IMAGE = png(flat(200))
ARCHIVED = png(flat(150))
PNG = {"content-type": "image/png"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def client(
    engine: FakeEngine | None = None,
    decoder: FilmDecoder | None = None,
    **settings: Any,
) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(
        Settings(model=Path("unused"), **settings),
        engine or FakeEngine(),
        decoder or DecoderHere(),
    )
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://test"
        ) as http,
    ):
        while app.state.service.lifecycle.why_not_ready == "starting":
            await asyncio.sleep(0)
        yield http


class Gate:
    """Holds the model's thread until it is opened."""

    def __init__(self) -> None:
        self.entered, self.opened = threading.Event(), threading.Event()

    def __call__(self, _: npt.NDArray[np.float32]) -> None:
        self.entered.set()
        assert self.opened.wait(10)

    async def reached(self) -> None:
        assert await asyncio.to_thread(self.entered.wait, 10)


def post(http: httpx.AsyncClient, body: bytes = IMAGE) -> asyncio.Task[httpx.Response]:
    return asyncio.create_task(http.post("/segment", content=body, headers=PNG))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_a_full_queue_answers_429_with_retry_after() -> None:
    gate = Gate()
    async with client(FakeEngine(gate, max_batch=2), queue_limit=1) as http:
        first = post(http)
        await gate.reached()
        second = post(http)
        depth = "solo_queue_depth 1.0"
        async with asyncio.timeout(10):
            while depth not in (await http.get("/metrics")).text:
                await asyncio.sleep(0.001)
        refused = await post(http)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert refused.json()["type"] == "urn:solo-xray:problem:queue-full"
        gate.opened.set()
        assert [(await task).status_code for task in (first, second)] == [200, 200]
        text = (await http.get("/metrics")).text
    assert 'solo_rejected_total{reason="queue-full"} 1.0' in text
    assert 'solo_requests_total{code="429",route="/segment"} 1.0' in text


async def test_a_passed_deadline_answers_504_and_frees_its_place() -> None:
    gate = Gate()
    engine = FakeEngine(gate)
    async with client(engine, deadline_seconds=0.2) as http:
        first = post(http)
        await gate.reached()
        late = await post(http)
        gate.opened.set()
        assert late.status_code == 504
        assert late.json()["type"] == "urn:solo-xray:problem:deadline"
        assert (await first).status_code == 504
        assert (await post(http)).status_code == 200
    assert engine.batches == [1, 1]  # the second had gone before its batch was formed


async def test_a_client_that_leaves_is_not_computed_for() -> None:
    gate = Gate()
    engine = FakeEngine(gate)
    app = create_app(Settings(model=Path("unused")), engine, DecoderHere())
    left = asyncio.Event()
    sent: list[Any] = []
    body = iter([{"type": "http.request", "body": IMAGE, "more_body": False}])

    async def receive() -> dict[str, Any]:
        for message in body:
            return message
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/segment", "raw_path": b"/segment",
        "query_string": b"", "headers": [(b"content-type", b"image/png")], "root_path": "",
    }  # fmt: skip
    async with app.router.lifespan_context(app):
        service = app.state.service
        await until(lambda: service.lifecycle.ready)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            first = post(http)
            await gate.reached()
            second = asyncio.create_task(app(scope, receive, send))
            await until(lambda: "solo_queue_depth 1.0" in metrics_text(service))
            left.set()
            await second
            assert "solo_queue_depth 0.0" in metrics_text(service)
            gate.opened.set()
            assert (await first).status_code == 200
        assert 'code="499",route="/segment"} 1.0' in metrics_text(service)
    assert engine.batches == [1]


def metrics_text(service: Any) -> str:
    from prometheus_client import generate_latest

    return generate_latest(service.metrics.registry).decode()


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

    async with client(FakeEngine(fail, before_golden=lambda: fail(None))) as http:
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
    from app.journal import JsonFormatter

    lines = [JsonFormatter().format(record) for record in caplog.records]
    assert any('"exception": "RuntimeError"' in line for line in lines)
    assert not any("planted" in line for line in lines)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("abc-1.2_X", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("Planted^Name", False),
        ("two words", False),
        ("", False),
    ],
)
async def test_a_harmless_request_id_is_taken_over(given: str, taken: bool) -> None:
    async with client() as http:
        answer = await http.get("/healthz/live", headers={"x-request-id": given})
    assert (answer.headers["x-request-id"] == given) is taken
    assert answer.headers["x-request-id"]


async def test_each_request_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with client() as http:
        answer = await http.post("/segment?frame=0", content=IMAGE, headers=PNG)
    (record,) = [record for record in caplog.records if record.getMessage() == "request"]
    fields = getattr(record, FIELDS_ATTRIBUTE)
    assert fields["request_id"] == answer.headers["x-request-id"]
    assert (fields["route"], fields["status"], fields["bytes"]) == ("/segment", 200, len(IMAGE))
    (image,) = fields["images"]
    assert (image["kind"], image["height"], image["width"]) == ("png", 64, 64)
    assert image["inference_seconds"] >= 0
    json.dumps(fields)


async def test_instances_without_a_pixel_are_left_out() -> None:
    async with client() as http:
        bright = (await post(http)).json()["images"][0]["instances"]
        dark = (await post(http, png(flat(10)))).json()["images"][0]["instances"]
    assert [instance["label"] for instance in bright] == ["bright"]
    assert [instance["label"] for instance in dark] == ["dark"]
    assert dark[0]["category_id"] == 7
    assert dark[0]["area"] == 64 * 64
    assert dark[0]["bbox"] == [0, 0, 64, 64]


async def test_an_archive_leaves_a_decoder_to_a_person() -> None:
    opened, decoding = asyncio.Event(), 0

    class SlowForArchives(DecoderHere):
        async def decode(
            self, data: bytes | Sequence[bytes], frame: int, film: bool = False
        ) -> DecodedFilm:
            nonlocal decoding
            if b"".join([data] if isinstance(data, bytes) else data) == ARCHIVED:
                decoding += 1
                await opened.wait()
            return await super().decode(data, frame, film)

    async with client(decoder=SlowForArchives(), decode_workers=2) as http:
        bulk = [
            asyncio.create_task(http.post("/segment?lane=bulk", content=ARCHIVED)) for _ in range(5)
        ]
        await until(lambda: decoding == 1)
        assert (await post(http)).status_code == 200
        assert decoding == 1
        opened.set()
        assert [(await task).status_code for task in bulk] == [200] * 5
