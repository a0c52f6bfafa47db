"""Probes are answered in time, whatever else is asked without a film."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Any

import httpx

from tests.support.processes import ServiceProcess, serving

GET = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"


def leave(service: ServiceProcess, times: int) -> None:
    """Asks, and waits for no answer."""
    address = httpx.URL(service.url)
    for _ in range(times):
        with socket.create_connection((address.host, address.port or 80)) as connection:
            connection.sendall(GET)


def test_nobody_waits_for_those_who_left(service: ServiceProcess, http: httpx.Client) -> None:
    leave(service, 3000)  # a turn for each would take 15 s
    began = time.monotonic()
    assert http.get("/healthz/ready", timeout=60).status_code == 200
    assert time.monotonic() - began < 5
    assert '"error": "client-gone"' in service.log()


def test_behind_a_balancer_its_probes_have_turns_of_their_own(
    tiny_model: Path, tmp_path: Path
) -> None:
    address: dict[str, Any] = {"trusted_proxies": "127.0.0.1", "decode_workers": 1}
    with serving(tmp_path / "output", model=tiny_model, **address) as service:
        url = httpx.URL(service.url)
        flood = b"GET /nowhere HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n"
        connections = [socket.create_connection((url.host, url.port or 80)) for _ in range(1000)]
        for connection in connections:
            connection.sendall(flood)
        began = time.monotonic()
        assert httpx.get(f"{service.url}/healthz/ready", timeout=60).status_code == 200
        assert time.monotonic() - began < 2.5  # behind the others it takes 5 s
        for connection in connections:
            connection.close()
