"""A request's id, its line in the log, and what is in its answer."""

from __future__ import annotations

import json
import logging

import pytest

from app.logging import FIELDS_ATTRIBUTE
from tests.support.films import flat, png
from tests.support.in_process import IMAGE, PNG, client, post

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


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
    assert dark[0]["outline_uncertainty"] == 0  # a grey of 10 is dark beyond doubt
