"""What a full queue, a passed deadline and a client that left mean for the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.http.http1 import DISCONNECTED
from app.main import create_app
from app.settings import Settings
from solo.decoding.stored_pixels import PixelsWanted
from solo.sandbox.decoder import DecodedRadiograph
from tests.support.batching import Gate, until
from tests.support.decoders import DecoderHere
from tests.support.engines import FakeEngine
from tests.support.films import flat, png
from tests.support.in_process import IMAGE, client, metrics_text, post

pytestmark = pytest.mark.anyio

ARCHIVED = png(flat(150))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


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
    left = asyncio.get_running_loop().create_future()
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": IMAGE, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/segment", "raw_path": b"/segment",
        "query_string": b"", "headers": [(b"content-type", b"image/png")], "root_path": "",
        "state": {DISCONNECTED: left},
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
            left.set_result(None)
            await second
            assert "solo_queue_depth 0.0" in metrics_text(service)
            gate.opened.set()
            assert (await first).status_code == 200
        assert 'code="499",route="/segment"} 1.0' in metrics_text(service)
    assert engine.batches == [1]


async def test_an_archive_leaves_a_decoder_to_a_person() -> None:
    opened, decoding = asyncio.Event(), 0

    class SlowForArchives(DecoderHere):
        async def decode(
            self,
            data: bytes | Sequence[bytes],
            frame: int,
            wants_pixels: PixelsWanted = "none",
            *,
            wants_header: bool = False,
        ) -> DecodedRadiograph:
            nonlocal decoding
            if b"".join([data] if isinstance(data, bytes) else data) == ARCHIVED:
                decoding += 1
                await opened.wait()
            return await super().decode(data, frame, wants_pixels, wants_header=wants_header)

    async with client(decoder=SlowForArchives(), decode_workers=2) as http:
        bulk = [
            asyncio.create_task(http.post("/segment?lane=bulk", content=ARCHIVED)) for _ in range(5)
        ]
        await until(lambda: decoding == 1)
        assert (await post(http)).status_code == 200
        assert decoding == 1
        opened.set()
        assert [(await task).status_code for task in bulk] == [200] * 5
