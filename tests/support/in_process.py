"""The application in this process, with an engine made of Python, and a client of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
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


def metrics_text(service: Any) -> str:
    return generate_latest(service.metrics.registry).decode()
