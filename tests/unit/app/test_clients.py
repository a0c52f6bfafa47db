"""Who a client is: its key, its address, or the address that a trusted load balancer tells."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.keys import new_key
from app.main import create_app
from app.settings import Settings
from tests.support.batching import until
from tests.support.decoders import DecoderHere
from tests.support.engines import FakeEngine
from tests.support.in_process import IMAGE

BALANCER, STRANGER = "10.9.0.2", "203.0.113.9"
COMPOSE = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"


def seen_from(
    peer: str | None,
    *forwarded: str,
    trusted: str | None = COMPOSE,
    keys_file: Path | None = None,
) -> tuple[str, int]:
    """Whom the service takes a request for, and the answer's status."""
    seen: list[str] = []

    async def ask() -> int:
        app = create_app(
            Settings(model=Path("unused"), trusted_proxies=trusted, keys_file=keys_file),
            FakeEngine(),
            DecoderHere(),
        )
        admission = app.state.service.segmenter.admission
        check = admission.check

        def spy(lane: Any, seconds: float, client: str = "") -> None:
            seen.append(client)
            check(lane, seconds, client)

        admission.check = spy
        transport = httpx.ASGITransport(app, client=(peer, 1234) if peer else None)  # type: ignore[arg-type]
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test") as http,
        ):
            await until(lambda: app.state.service.lifecycle.ready)
            headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
            headers.append((b"authorization", f"Bearer {KEY}".encode()))
            return (await http.post("/segment", content=IMAGE, headers=headers)).status_code

    status = asyncio.run(ask())
    assert len(set(seen)) == 1
    return seen[0], status


KEY, LINE = new_key("clinic-a")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        (BALANCER, ["198.51.100.7"], "198.51.100.7"),
        (BALANCER, ["198.51.100.7:4711"], "198.51.100.7"),
        (BALANCER, ["2001:db8::7"], "2001:db8::7"),
        (BALANCER, ["[2001:db8::7]:4711"], "2001:db8::7"),
        (BALANCER, ["10.1.2.3"], "10.1.2.3"),  # a hospital's own, as the balancer reports it
        (BALANCER, ["forged, 198.51.100.7"], "198.51.100.7"),
        (BALANCER, ["192.0.2.1", "198.51.100.7"], "198.51.100.7"),
        (BALANCER, ["192.0.2.1, 198.51.100.7, 10.9.0.3"], "198.51.100.7"),
        (BALANCER, [], BALANCER),
        (BALANCER, [""], BALANCER),
        (STRANGER, ["198.51.100.7"], STRANGER),
        (STRANGER, ["10.1.2.3, 198.51.100.7"], STRANGER),
        (None, [], "local"),
        (None, ["198.51.100.7"], "local"),
    ],
)
def test_an_address_is_believed_from_a_trusted_peer_alone(
    peer: str | None, forwarded: list[str], client: str
) -> None:
    assert seen_from(peer, *forwarded) == (client, 200)


@pytest.mark.parametrize("garbage", [",", " , ,", "[", "]:", ":", "x" * 5000, "\xe9, \xe9"])
def test_garbage_from_the_balancer_harms_nobody(garbage: str) -> None:
    assert seen_from(BALANCER, garbage)[1] == 200


@pytest.mark.parametrize("trusted", [None, "", "127.0.0.1"])
def test_by_default_nobody_is_believed(trusted: str | None) -> None:
    assert seen_from(BALANCER, "198.51.100.7", trusted=trusted) == (BALANCER, 200)


def test_a_key_is_a_client_wherever_it_is_shown(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(LINE)
    for peer in (BALANCER, STRANGER):
        found = seen_from(peer, "198.51.100.7", keys_file=tmp_path / "keys")
        assert found == ("clinic-a", 200)
