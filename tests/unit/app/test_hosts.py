"""Host names that are ours, and pages of other sites."""

from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest

from tests.support.in_process import IMAGE, client

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def asked(host: str, path: str = "/model", names: str | None = None) -> httpx.Response:
    async with client(host_names=names) as http:
        return await http.get(path, headers={"host": host})


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.0.0.1:8000", "10.1.2.3:80", "[::1]", "[::1]:8000", "[2001:db8::7]",
        "localhost", "LocalHost:8000", "localhost.", "localhost.:8000", "page.localhost",
        socket.gethostname(), socket.gethostname().upper(), socket.gethostname().partition(".")[0],
        "xray.example.org", "XRAY.example.org.:443", "solo:8000", "balancer", "balancer:",
    ],
)  # fmt: skip
async def test_a_name_that_is_ours_is_answered(host: str) -> None:
    answer = await asked(host, names="Xray.Example.org , solo:8000,balancer")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example",
        "evil.example#localhost", "localhost@evil.example", "xlocalhost", "", ":8000",
        "localhost:x", "[evil.example]", "[::1", "::1", "localhost, x.example", "1.2.3", "0x7f.1",
    ],
)  # fmt: skip
async def test_another_name_is_misdirected(host: str) -> None:
    answer = await asked(host, names="xray.example.org")
    assert answer.status_code == 421
    assert answer.json()["type"] == "urn:solo-xray:problem:misdirected"
    assert "SOLO_HOST_NAMES" in answer.json()["detail"]
    assert "example" not in answer.json()["detail"]


async def test_probes_are_asked_by_any_name() -> None:
    for path in ("/healthz/live", "/healthz/ready"):
        assert (await asked("evil.example", path)).status_code == 200
    for path in ("/metrics", "/docs", "/", "/nowhere"):
        assert (await asked("evil.example", path)).status_code == 421


async def called(headers: list[tuple[bytes, bytes]]) -> int:
    """The status of `GET /model`, without a client that adds a Host of its own."""
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: dict[str, Any]) -> None:
        statuses.append(message.get("status", 0))

    async with client() as http:
        app: Any = http._transport
        scope = {"type": "http", "method": "GET", "path": "/model", "raw_path": b"/model"}
        await app.app(
            {**scope, "query_string": b"", "headers": headers, "root_path": ""}, receive, send
        )
    return statuses[0]


async def test_a_request_without_host_is_one_of_http_1_0() -> None:
    assert await called([]) == 200
    assert await called([(b"host", b"localhost"), (b"host", b"evil.example")]) == 421


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site", "x", "none, cross-site"])
@pytest.mark.parametrize("path", ["/segment", "/docs", "/nowhere"])
async def test_another_site_s_page_may_not_post(site: str, path: str) -> None:
    async with client() as http:
        answer = await http.post(path, content=IMAGE, headers={"sec-fetch-site": site})
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:solo-xray:problem:cross-site"


@pytest.mark.parametrize("site", ["same-origin", "none", None])
async def test_our_own_page_and_programs_may_post(site: str | None) -> None:
    async with client() as http:
        headers = {"sec-fetch-site": site} if site else {}
        assert (await http.post("/segment", content=IMAGE, headers=headers)).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_another_site_s_page_may_lead_here(method: str) -> None:
    async with client() as http:
        answer = await http.request(method, "/docs", headers={"sec-fetch-site": "cross-site"})
        assert answer.status_code == (405 if method == "OPTIONS" else 200)


async def test_refusals_are_described_counted_and_logged() -> None:
    async with client() as http:
        await http.get("/model", headers={"host": "evil.example"})
        await http.post("/segment", headers={"sec-fetch-site": "cross-site"})
        text = (await http.get("/metrics")).text
        assert 'solo_requests_total{code="421",route="/model"} 1.0' in text
        assert 'solo_rejected_total{reason="misdirected"} 1.0' in text
        assert 'solo_rejected_total{reason="cross-site"} 1.0' in text
        paths = (await http.get("/openapi.json")).json()["paths"]
    assert {"403", "421"} <= paths["/segment"]["post"]["responses"].keys()
    assert "421" in paths["/model"]["get"]["responses"]
    assert "421" not in paths["/healthz/live"]["get"]["responses"]
