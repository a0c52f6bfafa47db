"""The application in this process, with an engine made of Python, and a client of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from prometheus_client import generate_latest

from app.main import create_app
from app.settings import Settings
from solo.sandbox.decoder import RadiographDecoder
from tests.support.decoders import DecoderHere
from tests.support.engines import FakeEngine
from tests.support.films import flat, png

IMAGE = png(flat(200))
PNG = {"content-type": "image/png"}


@asynccontextmanager
async def client(
    engine: FakeEngine | None = None,
    decoder: RadiographDecoder | None = None,
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


def post(http: httpx.AsyncClient, body: bytes = IMAGE) -> asyncio.Task[httpx.Response]:
    return asyncio.create_task(http.post("/segment", content=body, headers=PNG))


def metrics_text(service: Any) -> str:
    return generate_latest(service.metrics.registry).decode()
