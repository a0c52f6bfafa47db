"""What the event loop does for a request, in counts: a busy machine changes no count."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import anyio.to_thread
import numpy as np
import pytest
from starlette.applications import Starlette

from app.main import create_app
from app.settings import Settings
from solo.decoding.radiograph import RadiographInfo
from solo.decoding.stored_pixels import PixelsWanted
from solo.sandbox.decoder import DecodedRadiograph
from tests.support.decoders import DecoderHere
from tests.support.engines import CANVAS, FakeEngine
from tests.support.films import flat, png

pytestmark = pytest.mark.anyio

IMAGE = png(flat(200))
REQUESTS = 40
MAX_CALLS = 630  # of Python functions; 594 were seen, a third of them asyncio's own


class Undecoded(DecoderHere):
    """Decoding is other processes' work, and is not counted."""

    async def decode(
        self,
        data: bytes | Sequence[bytes],
        frame: int,
        wants_pixels: PixelsWanted = "none",
        *,
        wants_header: bool = False,
    ) -> DecodedRadiograph:
        assert data == (IMAGE,)
        facts = RadiographInfo(
            height=64, width=64, pixel_spacing=None, grey="as_stored", frame=frame, frames=1,
            kind="png", encoding="png",
        )  # fmt: skip
        return DecodedRadiograph(facts, np.full(CANVAS, 0.8, np.float32), None, 0.0)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def started() -> AsyncIterator[Starlette]:
    app = create_app(Settings(model=Path("unused")), FakeEngine(), Undecoded())
    async with app.router.lifespan_context(app):
        while not app.state.service.lifecycle.ready:
            await asyncio.sleep(0.001)
        yield app


async def ask(app: Starlette, path: str = "/segment", method: str = "POST") -> int:
    """Calls the application as a server does, without a client's own work."""
    body = iter([{"type": "http.request", "body": IMAGE, "more_body": False}])
    statuses = []

    async def receive() -> dict[str, Any]:
        for message in body:
            return message
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": [(b"content-type", b"image/png")], "root_path": "",
    }  # fmt: skip
    await app(scope, receive, send)
    return int(statuses[0])


async def test_a_request_costs_the_event_loop_few_calls() -> None:
    calls = 0

    def count(_: FrameType, event: str, __: object) -> None:
        nonlocal calls
        calls += event == "call"

    async with started() as app:
        await ask(app)  # imports and caches
        sys.setprofile(count)
        try:
            statuses = [await ask(app) for _ in range(REQUESTS)]
        finally:
            sys.setprofile(None)
    assert statuses == [200] * REQUESTS
    assert calls / REQUESTS <= MAX_CALLS


async def test_a_request_has_one_turn_in_the_pool_and_none_in_the_framework_s_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns: list[str] = []
    submit = ThreadPoolExecutor.submit

    def counted(self: ThreadPoolExecutor, *args: Any, **kwargs: Any) -> Any:
        turns.append(str(self._thread_name_prefix))
        return submit(self, *args, **kwargs)

    async def refused(*_: object, **__: object) -> None:
        raise AssertionError("a plain function was given to anyio's threads")

    async with started() as app:
        monkeypatch.setattr(ThreadPoolExecutor, "submit", counted)
        monkeypatch.setattr(anyio.to_thread, "run_sync", refused)
        assert await ask(app) == 200
        for path in ("/healthz/live", "/healthz/ready", "/metrics", "/model"):
            assert await ask(app, path, "GET") == 200
    assert turns == ["model", "solo"]  # run, masks
