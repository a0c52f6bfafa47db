"""HEAD is GET without a body (RFC 9110 section 9.3.2), and 405 says what is allowed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from app.keys import new_key
from tests.support.in_process import client
from tests.support.processes import serving

KEY, LINE = new_key("clinic-a")
PAGES = ("/", "/docs", "/openapi.json", "/docs/files/swagger-ui.css")
OPEN = ("/healthz/live", "/healthz/ready", "/metrics", *PAGES)
CLOSED = ("/model", "/absent")
VARYING = {"date", "x-request-id"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def kept(answer: httpx.Response) -> tuple[int, dict[str, str]]:
    varying = {*VARYING, "content-length"} if "/metrics" in str(answer.url) else VARYING
    headers = {name: value for name, value in answer.headers.items() if name not in varying}
    return answer.status_code, headers


@pytest.mark.parametrize("path", [*OPEN, *CLOSED, "/docs/files/absent.css", "/segment"])
def test_head_has_the_headers_of_get_and_no_body(http: httpx.Client, path: str) -> None:
    asked, head = http.get(path), http.head(path)
    assert kept(head) == kept(asked)
    assert int(head.headers["content-length"]) > 0
    assert head.content == b""
    assert http.get("/healthz/live").json() == {"status": "alive"}  # on the same connection


@pytest.mark.parametrize("path", [*OPEN, "/model"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_another_method_is_told_which_are_allowed(
    http: httpx.Client, path: str, method: str
) -> None:
    answer = http.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json()["type"] == "urn:solo-xray:problem:method-not-allowed"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT"])
def test_a_film_can_only_be_posted(http: httpx.Client, method: str) -> None:
    answer = http.request(method, "/segment")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_head_is_logged_counted_and_closed_like_get(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(LINE)
    limits: dict[str, Any] = {"keys_file": tmp_path / "keys", "key_rate": 0.01, "key_burst": 2}
    with serving(tmp_path / "output", model=tiny_model, decode_workers=1, **limits) as running:
        for path in OPEN:
            assert httpx.head(running.url + path).status_code == 200
        for path in CLOSED:
            assert httpx.head(running.url + path).status_code == 401
        shown = {"authorization": f"Bearer {KEY}"}
        answers = [httpx.head(f"{running.url}/model", headers=shown) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        metrics = httpx.get(f"{running.url}/metrics").text
        assert 'solo_requests_total{code="200",route="/model"} 2.0' in metrics
        assert 'solo_requests_total{code="401",route="/model"} 1.0' in metrics
        assert running.log().count('"route": "/model"') == 4


@pytest.mark.anyio
async def test_a_probe_by_head_fails_too() -> None:
    async with client() as http:
        assert (await http.head("/healthz/ready")).status_code == 200
        transport: Any = http._transport
        transport.app.state.service.lifecycle.drain()
        head = await http.head("/healthz/ready")
        assert (head.status_code, head.headers["retry-after"]) == (503, "5")


def test_the_description_has_each_operation_once(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    assert {method for path in paths.values() for method in path} == {"get", "post"}
