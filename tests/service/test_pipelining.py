"""Requests that come before the answers to earlier ones (RFC 9112 section 9.3.2) cost little."""

from __future__ import annotations

import re
import socket
import time
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.support.echo import Echo
from tests.support.processes import ServiceProcess

GET = b"GET /healthz/live HTTP/1.1\r\nHost: x\r\n\r\n"
FRAMED = (
    b"Content-Length: %d\r\n\r\n%b",
    b"Transfer-Encoding: chunked\r\n\r\n%x;a=b\r\n%b\r\n0\r\nUpgrade: h2c\r\nX: y\r\n\r\n",
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def resident_bytes(process: int) -> int:
    text = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.long
def test_requests_that_wait_take_no_memory(service: ServiceProcess) -> None:
    """Those of one connection that never stops to ask."""
    address, block, at = httpx.URL(service.url), GET * 5000, 0
    before = resident_bytes(service.process.pid)
    with socket.create_connection((address.host, address.port or 80)) as connection:
        connection.setblocking(False)
        end = time.monotonic() + 4
        while time.monotonic() < end:
            with suppress(BlockingIOError):
                at = (at + connection.send(block[at:])) % len(block)
            with suppress(BlockingIOError):
                connection.recv(2**16)
            time.sleep(0.002)
        assert resident_bytes(service.process.pid) - before < 30 * 2**20


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(50))
async def test_each_is_read_as_it_is_alone(seed: int) -> None:
    """Of any size, with offers of other protocols and without, in segments of any size."""
    rng = np.random.default_rng(seed)
    sent, expected = b"", list[tuple[str, str, bytes]]()
    for number in range(rng.choice([1, 3, 40, 300])):
        path, offers = f"/{number}", rng.random() < 0.5
        offer = rng.choice([b"UPGRADE: h2c\r\nconnection: x , upGRADE\r\n", b"Upgrade:\r\n"])
        content = b""
        if rng.random() < 0.5:
            content = GET * rng.choice([1, 2, 150, 2000 if number < 3 else 1])
            content = content[: rng.integers(1, len(content), endpoint=True)]
        framed = rng.choice(FRAMED) % (len(content), content) if content else b"\r\n"
        head = b"POST %b HTTP/1.1\r\n%bHost: x\r\n" % (path.encode(), offer if offers else b"")
        sent += head + framed
        expected.append(("POST", path, content))
    parts, most = [], rng.choice([1, 50, 5000, 70_000, len(sent)])
    while sent:
        size = rng.integers(1, max(most, len(sent) // 2000), endpoint=True)
        parts.append(sent[:size])
        sent = sent[size:]
    echo = Echo()
    assert await echo.hear(*parts) == expected
    assert echo.written.count(b"HTTP/1.1 200 ") == len(expected)
