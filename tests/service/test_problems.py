"""Every kind of problem, with its exact body: clients are written against these words."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import imagecodecs
import pytest
from pydicom.uid import CTImageStorage

from app.keys import new_key
from app.main import create_app
from app.settings import Settings
from solo.decoding.stored_pixels import PixelsWanted
from solo.errors import error_classes
from solo.sandbox.decoder import DecodedRadiograph, RadiographDecoder
from tests.support.annotations import document, written
from tests.support.decoders import DecoderHere, decoders, until_stopped, workers_of
from tests.support.dicom import dicom_file
from tests.support.dicom_results import hospital_film
from tests.support.engines import FakeEngine
from tests.support.films import chest, flat, png, png_header_only
from tests.support.planted_worker import BOMB, HANG, SEGFAULT
from tests.support.problems import EXPECTED, NOISE
from tests.support.processes import ServiceProcess

pytestmark = pytest.mark.anyio

FILM = png(flat(200))
KEY, LINE = new_key("clinic-a")


class Place(NamedTuple):
    """What some cases need: a folder of their own, and a service in a process of its own."""

    folder: Path
    url: str


Case = Callable[[Place], Awaitable[httpx.Response]]

NEVER_SENT = {"client-gone", "unavailable"}  # to nobody; and what other 503s have in common


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def client(
    engine: FakeEngine | None = None, decoder: RadiographDecoder | None = None, **settings: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, Any]]:
    given = {"max_body_bytes": 5000, "max_bodies_bytes": 5000, **settings}
    app = create_app(
        Settings(model=Path("unused"), **given), engine or FakeEngine(), decoder or DecoderHere()
    )
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as http,
    ):
        async with asyncio.timeout(10):
            while engine is None and not app.state.service.lifecycle.ready:
                await asyncio.sleep(0.001)
        yield http, app.state.service


async def asked(method: str = "POST", path: str = "/segment", **request: Any) -> httpx.Response:
    async with client() as (http, _):
        return await http.request(method, path, **request)


def film(body: bytes, media_type: str = "image/png") -> Case:
    return lambda _: asked(content=body, headers={"content-type": media_type})


async def with_keys(place: Place, *keys: str) -> httpx.Response:
    path = place.folder / "keys"
    path.write_text(LINE)
    async with client(keys_file=path, key_rate=0.01, key_burst=1) as (http, _):
        for key in keys:
            answer = await http.get("/model", headers={"authorization": key} if key else {})
    return answer


async def too_slow(_: Place) -> httpx.Response:
    async def body() -> AsyncIterator[bytes]:
        yield b"film:"
        await asyncio.Event().wait()

    async with client(client_seconds=0.05) as (http, _):
        return await http.post("/segment", content=body())


async def while_another_runs(**settings: Any) -> httpx.Response:
    """The answer to a second film while the first is in the model's thread."""
    entered, opened = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        entered.set()
        assert opened.wait(10)

    async with client(FakeEngine(hold, max_batch=2), **settings) as (http, service):
        async with asyncio.timeout(10):
            while not service.lifecycle.ready:
                await asyncio.sleep(0.001)
            films = [asyncio.create_task(http.post("/segment", content=NOISE))]
            assert await asyncio.to_thread(entered.wait, 10)
            if "queue_limit" in settings:  # the one that runs does not wait any more
                films.append(asyncio.create_task(http.post("/segment", content=FILM)))
                while service.segmenter.admission.taken == 0:
                    await asyncio.sleep(0.001)
        answer = await http.post("/segment", content=NOISE)
        opened.set()
        assert [(await film).status_code for film in films] == [200] * len(films)
        return answer


async def planted(body: bytes, *, kill: bool = False) -> httpx.Response:
    """What real decoders answer for a file that breaks them."""
    async with decoders() as pool, client(decoder=Started(pool)) as (http, _):
        answer = asyncio.create_task(http.post("/segment", content=body))
        if kill:
            before: list[int] = []
            for _ in range(2):  # the first time another process takes the file
                while not (now := workers_of()) or now == before:
                    await asyncio.sleep(0.01)
                await until_stopped(now[0])
                os.kill(now[0], signal.SIGKILL)
                with suppress(ProcessLookupError):
                    os.kill(now[0], signal.SIGCONT)
                before = now
        return await answer


class Started:
    """A decoder that the test starts and stops."""

    width = 1

    def __init__(self, decoder: RadiographDecoder) -> None:
        self.decode = decoder.decode

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass


class Never(DecoderHere):
    async def decode(
        self,
        data: bytes | Sequence[bytes],
        frame: int,
        wants_pixels: PixelsWanted = "none",
        *,
        wants_header: bool = False,
    ) -> DecodedRadiograph:
        await asyncio.Event().wait()
        raise AssertionError


class Broken(DecoderHere):
    async def decode(
        self,
        data: bytes | Sequence[bytes],
        frame: int,
        wants_pixels: PixelsWanted = "none",
        *,
        wants_header: bool = False,
    ) -> DecodedRadiograph:
        raise RuntimeError("planted detail")


async def with_decoder(decoder: RadiographDecoder, **settings: Any) -> httpx.Response:
    async with client(decoder=decoder, **settings) as (http, _):
        return await http.post("/segment", content=FILM)


async def starting(_: Place) -> httpx.Response:
    warm = threading.Event()

    class Cold(FakeEngine):
        def warm_up(self) -> dict[int, float]:
            assert warm.wait(10)
            return super().warm_up()

    async with client(Cold()) as (http, _):
        answer = await http.post("/segment", content=FILM)
        warm.set()
        return answer


async def draining(_: Place) -> httpx.Response:
    async with client() as (http, service):
        service.lifecycle.drain()
        return await http.post("/segment", content=FILM)


async def model_failed(_: Place) -> httpx.Response:
    def fail(_: object) -> None:
        raise RuntimeError("planted detail")

    async with client(FakeEngine(fail)) as (http, service):
        async with asyncio.timeout(10):
            while not service.lifecycle.ready:
                await asyncio.sleep(0.001)
        return await http.post("/segment", content=FILM)


async def bytes_sent(place: Place, request: bytes) -> httpx.Response:
    """What the server's own protocol says, before there is a request."""
    address = httpx.URL(place.url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(request)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    status, *lines = head.decode().split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    return httpx.Response(int(status.split()[1]), headers=headers, content=body)


CASES: dict[str, Case] = {
    "malformed": film(b"hello"),
    "empty": film(b""),
    "truncated": film(FILM[:-20]),
    "decoder-crashed": lambda _: planted(SEGFAULT),
    "unauthorized": lambda place: with_keys(place, ""),
    "cross-site": lambda _: asked(content=FILM, headers={"sec-fetch-site": "cross-site"}),
    "misdirected": lambda _: asked("GET", "/model", headers={"host": "elsewhere.example"}),
    "not-found": lambda _: asked("GET", "/nowhere"),
    "method-not-allowed": lambda _: asked("GET"),
    "too-slow": too_slow,
    "body-too-large": film(bytes(5001)),
    "image-too-large": film(png_header_only(40_000, 40_000)),
    "decoder-memory": lambda _: planted(BOMB),
    "unsupported-media-type": film(b"hello", "text/plain"),
    "unsupported-encoding": film(bytes(imagecodecs.ljpeg_encode(flat(200))), "image/jpeg"),
    "not-segmentable": film(
        dicom_file(chest(30, 30), SOPClassUID=CTImageStorage, Modality="CT"), "application/dicom"
    ),
    "no-dicom-result": lambda _: asked(content=FILM, params={"kinds": "seg"}),
    "nothing-found": lambda _: asked(
        content=hospital_film(), params={"kinds": "seg", "score_threshold": 1}
    ),
    "bad-annotations": lambda _: asked(
        path="/dicom",
        files={"film": hospital_film(chest(20, 20)), "annotations": written(document((7, 20)))},
    ),
    "no-codes": lambda _: asked(content=hospital_film(), params={"kinds": "seg"}),
    "invalid-parameter": lambda _: asked(content=FILM, params={"score_threshold": 7}),
    "queue-full": lambda _: while_another_runs(queue_limit=1, max_bodies_bytes=50_000),
    "too-busy": lambda _: asked(content=FILM, headers={"x-request-timeout-seconds": "0.001"}),
    "bodies-full": lambda _: while_another_runs(),
    "key-rate": lambda place: with_keys(place, *[f"Bearer {KEY}"] * 2),
    "head-too-large": lambda place: bytes_sent(place, b"GET /".ljust(65_537, b"x")),
    "not-implemented": lambda place: bytes_sent(place, b"CONNECT x:443 HTTP/1.1\r\n\r\n"),
    "internal": lambda _: with_decoder(Broken()),
    "starting": starting,
    "draining": draining,
    "model-failed": model_failed,
    "decoder-lost": lambda _: planted(HANG, kill=True),
    "deadline": lambda _: with_decoder(Never(), deadline_seconds=0.05),
}


@pytest.mark.parametrize("kind", EXPECTED)
async def test_a_problem_has_its_exact_body(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: ServiceProcess
) -> None:
    monkeypatch.setattr("solo.sandbox.process._WORKER", "tests.support.planted_worker")
    expected = EXPECTED[kind]
    answer = await CASES[kind](Place(tmp_path, service.url))
    request_id = answer.headers["x-request-id"]
    assert len(request_id) == 32
    assert json.loads(answer.content) == {
        "type": f"urn:solo-xray:problem:{kind}",
        "title": expected.title,
        "status": expected.status,
        "detail": expected.detail,
        "request_id": request_id,
    }
    assert answer.status_code == expected.status
    assert answer.headers["content-type"] == "application/problem+json"
    for name in ("retry-after", "www-authenticate", "allow", "connection"):
        assert answer.headers.get(name) == expected.headers.get(name), name


def test_there_is_no_other_kind_of_problem() -> None:
    kinds = {error.kind for error in error_classes()} | {"not-found", "method-not-allowed"}
    assert set(EXPECTED) == kinds - NEVER_SENT
