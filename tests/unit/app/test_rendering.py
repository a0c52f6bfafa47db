"""What slow, unwanted and many renderings mean for their requests and for the others."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from app.http.http1 import DISCONNECTED
from app.main import create_app
from app.rendering import Renderer, Rendering
from app.schemas import SegmentAnswer
from app.settings import Settings
from solo.batching.priority_queue import Lane
from solo.decoding.stored_pixels import PixelsWanted
from solo.formats import pictures
from solo.masks.polygons import polygons
from solo.masks.rle import MaskRuns
from solo.result import Result
from solo.sandbox.decoder import DecodedRadiograph
from tests.support.batching import until
from tests.support.decoders import DecoderHere
from tests.support.engines import FakeEngine
from tests.support.films import png
from tests.support.in_process import IMAGE, client, metrics_text

pytestmark = pytest.mark.anyio
DEADLINE_SECONDS = 1.5  # for what never ends; all else takes few milliseconds


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class SlowDrawing:
    """Draws label maps once it may, and counts what is drawn and what is encoded."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.may, self.begun, self.encoded = threading.Event(), 0, 0
        patch.setattr("app.responses.label_map", self._draw)
        patch.setattr("app.responses.overlay", lambda _, result: self._draw(result))
        patch.setattr("app.responses.encode_png", self._encode)

    def _draw(self, result: Result) -> Any:
        self.begun += 1
        assert self.may.wait(10)
        return pictures.label_map(result)

    def _encode(self, picture: Any, about: str) -> bytes:
        self.encoded += 1
        return pictures.encode_png(picture, about)


@pytest.fixture
def drawing(monkeypatch: pytest.MonkeyPatch) -> SlowDrawing:
    return SlowDrawing(monkeypatch)


def ask(http: httpx.AsyncClient, form: str) -> asyncio.Task[httpx.Response]:
    return asyncio.create_task(http.post(f"/segment?format={form}", content=IMAGE))


async def test_a_deadline_passes_while_the_picture_is_made(drawing: SlowDrawing) -> None:
    async with client(deadline_seconds=DEADLINE_SECONDS, cores=1) as http:
        begun, waiting = await asyncio.gather(ask(http, "label-map"), ask(http, "label-map"))
        for late in (begun, waiting):
            assert late.status_code == 504
            assert late.json()["type"] == "urn:solo-xray:problem:deadline"
        assert drawing.begun == 1  # the other had no thread, and never gets one
        drawing.may.set()
        assert (await ask(http, "label-map")).status_code == 200
    assert (drawing.begun, drawing.encoded) == (2, 1)


async def test_others_are_answered_while_every_thread_renders(drawing: SlowDrawing) -> None:
    async with client(cores=2) as http:
        slow = [ask(http, form) for form in ("label-map", "overlay", "label-map")]
        await until(lambda: drawing.begun > 0)
        lifecycle = http._transport.app.state.service.lifecycle  # type: ignore[attr-defined]
        assert (await ask(http, "rle")).status_code == 200
        assert lifecycle.requests_in_flight == len(slow)
        drawing.may.set()
        assert [(await task).status_code for task in slow] == [200] * len(slow)
        assert lifecycle.requests_in_flight == 0


async def test_what_is_rendered_when_the_drain_is_over_gets_503(drawing: SlowDrawing) -> None:
    async with client(cores=1) as http:
        service = http._transport.app.state.service  # type: ignore[attr-defined]
        slow = [ask(http, "label-map")]
        await until(lambda: drawing.begun == 1)
        slow += [ask(http, form) for form in ("polygons", *["overlay"] * 9)]
        await until(lambda: service.lifecycle.requests_in_flight == len(slow))
        service.abandon()
        answers = [await task for task in slow]
        assert {answer.status_code for answer in answers} == {503}
        assert answers[0].json()["type"] == "urn:solo-xray:problem:draining"
        drawing.may.set()
    assert drawing.encoded == 0


async def test_a_client_that_leaves_is_not_rendered_for(drawing: SlowDrawing) -> None:
    app = create_app(Settings(model=Path("unused")), FakeEngine(), DecoderHere())
    left, sent = asyncio.get_running_loop().create_future(), []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": IMAGE, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/segment", "raw_path": b"/segment",
        "query_string": b"format=label-map", "headers": [], "root_path": "",
        "state": {DISCONNECTED: left},
    }  # fmt: skip
    async with app.router.lifespan_context(app):
        service = app.state.service
        await until(lambda: service.lifecycle.ready)
        request = asyncio.create_task(app(scope, receive, send))
        await until(lambda: drawing.begun == 1)
        left.set_result(None)
        await request
        assert 'code="499",route="/segment"} 1.0' in metrics_text(service)
        drawing.may.set()
    assert drawing.encoded == 0


async def test_few_films_are_in_memory_until_they_are_drawn(drawing: SlowDrawing) -> None:
    class Counting(DecoderHere):
        films = 0

        async def decode(
            self,
            data: bytes | Sequence[bytes],
            frame: int,
            wants_pixels: PixelsWanted = "none",
            *,
            wants_header: bool = False,
        ) -> DecodedRadiograph:
            self.films += wants_pixels != "none"
            return await super().decode(data, frame, wants_pixels, wants_header=wants_header)

    decoder = Counting()
    async with client(decoder=decoder, cores=1) as http:
        slow = [ask(http, "overlay") for _ in range(9)]
        await until(lambda: drawing.begun == 1)
        assert (await ask(http, "rle")).status_code == 200
        assert decoder.films < len(slow)
        drawing.may.set()
        assert [(await task).status_code for task in slow] == [200] * len(slow)
    assert decoder.films == len(slow)


async def test_clients_have_places_for_films_and_threads_in_turn() -> None:
    renderer, drawn = Renderer(1), []

    def draw(client: str) -> Rendering:
        drawn.append(client)
        yield
        return b""

    async def overlay(client: str) -> None:
        turn: tuple[float, Lane, str] = (math.inf, "interactive", client)
        async with renderer.film(*turn):
            await renderer.run(draw(client), *turn)

    works = [asyncio.create_task(overlay(client)) for client in "aaaaaaaaaab"]
    await asyncio.gather(*works)
    renderer.stop()
    assert len(drawn) == len(works)
    assert drawn.index("b") <= 3


async def test_an_image_that_is_rendered_too_late_fails_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may, calls = threading.Event(), 0

    def slow(runs: MaskRuns) -> list[list[float]]:
        nonlocal calls
        calls += 1
        if calls > 2:  # those of the first image, which has two instances
            assert may.wait(10)
        return polygons(runs)

    monkeypatch.setattr("solo.result.polygons", slow)
    async with client(deadline_seconds=DEADLINE_SECONDS, cores=1) as http:
        halves = png(np.repeat(np.array([[40, 200]], np.uint8), 50, axis=1).repeat(60, axis=0))
        files = [("file", (name, halves, "image/png")) for name in ("a", "b")]
        answer = await http.post("/segment?format=polygons", files=files)
        may.set()
    assert answer.status_code == 200
    shown = SegmentAnswer.model_validate(answer.json()).images
    assert [image.index for image in shown] == [0, 1]
    late = [image for image in answer.json()["images"] if "error" in image]
    assert [image["error"]["status"] for image in late] == [504]
    assert calls == 3  # its second instance is not outlined any more


@pytest.mark.parametrize("form", ["rle", "uncompressed-rle", "polygons"])
@pytest.mark.parametrize("most", [0, 2**16])
async def test_an_answer_is_what_the_description_says(
    monkeypatch: pytest.MonkeyPatch, form: str, most: int
) -> None:
    monkeypatch.setattr("app.responses._RUNS_WRITTEN_AT_ONCE", most)
    bodies = (IMAGE, b"no film", png(np.full((30, 40), 90, np.uint8)))
    async with client() as http:
        files = [("file", (str(n), body, "image/png")) for n, body in enumerate(bodies)]
        answer = await http.post(f"/segment?format={form}&frame=0-0", files=files)
        alone = await http.post(f"/segment?format={form}&score_threshold=1", content=IMAGE)
    for body in (answer.content, alone.content):
        assert SegmentAnswer.model_validate_json(body).model_dump_json().encode() == body
    images = answer.json()["images"]
    assert [image["index"] for image in images] == [0, 1, 2]
    assert ["error" in image for image in images] == [False, True, False]
    assert (images[2]["height"], images[2]["width"]) == (30, 40)
    assert alone.json()["images"][0]["instances"] == []
