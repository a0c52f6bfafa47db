"""`frame=`: one, a range or all, each with an answer or an error of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from pydicom.uid import JPEGLSLossless

from app.http.parameters import MAX_FRAMES, FrameRange
from app.main import create_app
from app.settings import Settings
from solo.errors import InvalidParameterError
from tests.support.decoders import DecoderHere
from tests.support.dicom import dicom_file
from tests.support.encapsulated import EXACT, encapsulated_file
from tests.support.engines import FakeEngine, expected_scores
from tests.support.films import flat, png

pytestmark = pytest.mark.anyio

GREYS = [140, 160, 180, 200, 220]  # bright, so that the tiny model finds its first object
FILM = np.stack([flat(grey) for grey in GREYS])
DICOM = {"content-type": "application/dicom"}
IDENTITY: dict[str, Any] = {"WindowCenter": 128, "WindowWidth": 256}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def client(engine: FakeEngine | None = None) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(
        Settings(model=Path("unused")), engine or FakeEngine(max_batch=2), DecoderHere()
    )
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as http,
    ):
        while not app.state.service.lifecycle.ready:
            await asyncio.sleep(0.001)
        yield http


async def images(http: httpx.AsyncClient, frame: str, body: bytes | None = None) -> Any:
    data = dicom_file(FILM, **IDENTITY) if body is None else body
    response = await http.post("/segment", content=data, headers=DICOM, params={"frame": frame})
    assert response.status_code == 200, response.text
    return response.json()["images"]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [("0", [0]), ("4", [4]), ("0-4", [0, 1, 2, 3, 4]), ("2-3", [2, 3]), ("3-3", [3]),
     ("all", [0, 1, 2, 3, 4])],
)  # fmt: skip
async def test_each_frame_has_its_own_answer(frame: str, expected: list[int]) -> None:
    async with client() as http:
        found = await images(http, frame)
    assert [image["frame"] for image in found] == expected
    assert [image["index"] for image in found] == [0] * len(expected)
    best = [image["instances"][0]["score"] for image in found]
    assert best == pytest.approx([expected_scores(GREYS[one] / 255)[0] for one in expected])


async def test_the_pages_of_a_tiff_are_frames() -> None:
    data = cv2.imencodemulti(".tiff", list(FILM))[1].tobytes()
    async with client() as http:
        for frame, expected in (("all", [0, 1, 2, 3, 4]), ("2-3", [2, 3])):
            found = await images(http, frame, data)
            best = [image["instances"][0]["score"] for image in found]
            assert best == pytest.approx([expected_scores(GREYS[one] / 255)[0] for one in expected])


async def test_all_of_a_single_image_is_one() -> None:
    async with client() as http:
        assert [image["frame"] for image in await images(http, "all", png(flat(200)))] == [0]


@pytest.mark.parametrize("frame", ["5", "3-5", "0-9", "3-2"])
async def test_frames_that_are_not_there_are_refused_once(frame: str) -> None:
    async with client() as http:
        response = await http.post(
            "/segment", content=dicom_file(FILM), headers=DICOM, params={"frame": frame}
        )
    assert response.status_code == 422
    assert response.json()["type"] == "urn:solo-xray:problem:invalid-parameter"
    assert "the file has 5" in response.json()["detail"]


@pytest.mark.parametrize("frame", ["-1", "1-", "-", "a", "1,2", "ALL", "9999999999", " 1"])
async def test_other_forms_are_refused(frame: str) -> None:
    async with client() as http:
        response = await http.post(
            "/segment", content=dicom_file(FILM), headers=DICOM, params={"frame": frame}
        )
    assert response.status_code == 422


async def test_a_damaged_frame_leaves_the_others_alone() -> None:
    frames = [bytes(EXACT[JPEGLSLossless](frame)) for frame in FILM]
    frames[1] = frames[1][: len(frames[1]) // 2]
    async with client() as http:
        found = await images(http, "all", encapsulated_file(frames, JPEGLSLossless, FILM))
    assert [image["frame"] for image in found] == [0, 1, 2, 3, 4]
    assert ["error" in image for image in found] == [False, True, False, False, False]
    assert found[1]["error"]["type"] == "urn:solo-xray:problem:truncated"


async def test_files_of_a_form_keep_their_places() -> None:
    files = [("a", dicom_file(FILM[:2])), ("b", b"nothing"), ("c", png(flat(9)))]
    async with client() as http:
        response = await http.post("/segment", files=files, params={"frame": "all"})
    found = response.json()["images"]
    assert [(image["index"], image["frame"]) for image in found] == [(0, 0), (0, 1), (1, 0), (2, 0)]
    assert ["error" in image for image in found] == [False, False, True, False]


def test_more_frames_than_the_limit_are_refused() -> None:
    choice = FrameRange.parse("all")
    assert choice.within(MAX_FRAMES) == range(MAX_FRAMES)
    with pytest.raises(InvalidParameterError, match=f"at most {MAX_FRAMES}"):
        choice.within(MAX_FRAMES + 1)
    one = FrameRange.parse("999")
    assert one.within(100_000) == range(999, 1000)
