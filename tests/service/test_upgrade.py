"""Who offers another protocol is answered in HTTP/1.1, and no request is read out of a body."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from tests.support.balancers import haproxy, nginx
from tests.support.echo import Echo
from tests.support.films import flat, png
from tests.support.processes import ServiceProcess
from tests.support.raw_http import exchange

HIDDEN = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /segment HTTP/1.1\r\nHost: x\r\n"
GET = b"GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /healthz/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
FRAMED = {
    "content-length": b"Content-Length: %d\r\n\r\n%b" % (len(HIDDEN), HIDDEN),
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n5\r\n%b\r\n%x;a=b\r\n%b\r\n0\r\nX: y\r\n\r\n"
    % (HIDDEN[:5], len(HIDDEN) - 5, HIDDEN[5:]),
}
OFFERS = {
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    "websocket": b"Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: eA==\r\n",
    "foo": b"upgrade: foo\r\nCONNECTION: UPGRADE\r\n",
    "TLS": b"Connection: keep-alive, Upgrade\r\nUpgrade: TLS/1.0, HTTP/2.0\r\n",
    "two lines": b"Connection: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\nUpgrade: foo\r\n",
    "not announced": b"Upgrade: h2c\r\n",
    "nothing": b"Connection: upgrade\r\n",
}
BODY = ("POST", "/segment", HIDDEN)
NEXT = ("GET", "/next", b"")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
@pytest.mark.parametrize("framed", FRAMED.values(), ids=FRAMED)
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
async def test_the_body_is_whole_wherever_segments_end(offer: bytes, framed: bytes) -> None:
    echo, request = Echo(), POST + offer + framed
    for end in range(len(request) + 1):
        assert await echo.hear(request[:end], request[end:]) == [BODY], end
    assert await echo.hear(*(bytes([byte]) for byte in request)) == [BODY]


@pytest.mark.anyio
@pytest.mark.parametrize("framed", FRAMED.values(), ids=FRAMED)
async def test_requests_before_and_after_are_answered_in_order(framed: bytes) -> None:
    echo, request = Echo(), POST + OFFERS["h2c"] + framed
    sent = GET + request + request + GET
    expected = [NEXT, BODY, BODY, NEXT]
    for end in range(len(sent)):
        assert await echo.hear(sent[:end], sent[end:]) == expected, end
    assert echo.written.count(b"HTTP/1.1 200 ") == 4


@pytest.mark.anyio
async def test_thousands_of_offers_in_one_segment_are_answered() -> None:
    request = b"GET /next HTTP/1.1\r\nHost: x\r\n" + OFFERS["foo"] + b"\r\n"
    assert await Echo().hear(request * 3000) == [NEXT] * 3000


@pytest.mark.anyio
async def test_an_offer_may_be_the_last_request() -> None:
    request = POST + b"Connection: upgrade, close\r\nUpgrade: h2c\r\n" + FRAMED["content-length"]
    echo = Echo()
    assert await echo.hear(request + GET) == [BODY]
    assert b"connection: close\r\n" in echo.written


@pytest.mark.anyio
async def test_an_offer_in_http_1_0_changes_nothing() -> None:
    """RFC 9110 section 7.8: it is ignored; and HTTP/1.0 ends with its answer."""
    request = POST.replace(b"1.1", b"1.0") + OFFERS["h2c"] + FRAMED["content-length"]
    echo = Echo()
    assert await echo.hear(request + GET) == [BODY]
    assert b"connection: close\r\n" in echo.written


@pytest.mark.anyio
async def test_who_asks_before_the_body_is_told_once() -> None:
    head = POST + b"Expect: 100-continue\r\n" + OFFERS["h2c"]
    echo = Echo()
    assert await echo.hear(head + FRAMED["content-length"][: -len(HIDDEN)], HIDDEN) == [BODY]
    assert echo.written.count(b"HTTP/1.1 100 ") == 1


@pytest.mark.anyio
@pytest.mark.parametrize("extra", [-1, 1])
async def test_a_head_with_an_offer_is_as_long_as_any(extra: int) -> None:
    """It is read twice, and counted once."""
    echo, start = Echo(), POST + OFFERS["h2c"] + b"X: "
    filling = b"x" * (50_000 if extra < 0 else 70_000)
    seen = await echo.hear(start + filling + b"\r\n" + FRAMED["content-length"], GET)
    assert seen == ([BODY, NEXT] if extra < 0 else [])
    assert (b"HTTP/1.1 431 " in echo.written) == (extra > 0)


@pytest.mark.anyio
@pytest.mark.parametrize("end", range(0, 60, 7))
async def test_a_tunnel_is_refused_and_nothing_is_read_from_it(end: int) -> None:
    request = b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n" + OFFERS["h2c"] + b"\r\n" + HIDDEN
    echo = Echo()
    assert await echo.hear(request[:end], request[end:]) == []
    assert echo.written.startswith(b"HTTP/1.1 501 ")
    assert echo.written.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("framed", FRAMED.values(), ids=FRAMED)
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
def test_a_hidden_request_is_no_request(
    service: ServiceProcess, offer: bytes, framed: bytes
) -> None:
    head, _, body = framed.partition(b"\r\n\r\n")
    heard = exchange(service.url, POST + offer + head + b"\r\n\r\n", body, LAST)
    assert heard.statuses == [400, 200]
    assert b"none of DICOM, PNG, JPEG and TIFF" in heard.raw
    assert b"solo_requests_total" not in heard.raw
    assert "pgrade" not in service.log()


@pytest.mark.parametrize("front", [haproxy, nginx])
def test_behind_a_balancer_each_gets_its_own_answer(
    front: Callable[[str, Path], AbstractContextManager[str]],
    service: ServiceProcess,
    tmp_path: Path,
) -> None:
    """What one client hides must not become the answer to another on the same connection."""
    film = png(flat(255))
    with front(service.url, tmp_path) as url, httpx.Client(base_url=url) as other:
        for offer in OFFERS.values():
            for framed in FRAMED.values():
                heard = exchange(url, POST + offer + framed, LAST)
                assert heard.statuses in ([400, 200], [400])  # HAProxy closes after the first
                assert b"none of DICOM, PNG, JPEG and TIFF" in heard.raw
                assert other.get("/healthz/live").json() == {"status": "alive"}
        upgrade = {"connection": "upgrade", "upgrade": "h2c"}
        assert other.post("/segment", content=film, headers=upgrade).status_code == 200
