"""Clients that are slow, silent, hang up, or ask for everything at once."""

from __future__ import annotations

from typing import Final

from benchmarks.service_process import ROOT
from tests.torture.attack import NONE, Bar, attack
from tests.torture.siege import Siege
from tests.torture.wire import post

_HEAD: Final = b"POST /segment HTTP/1.1\r\nHost: 127.0.0.1\r\n"
_FILM: Final = (ROOT / "examples/chest.png").read_bytes()
_SCRIPT: Final = "/docs/files/swagger-ui-bundle.js"


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


@attack(Bar.THREEFOLD, answers={NONE})
async def slow_heads(siege: Siege) -> None:
    """300 connections that send a header every half second."""
    await siege.together(300, lambda _: siege.drip(_HEAD, b"X: y\r\n"))


@attack(Bar.THREEFOLD, answers={NONE})
async def slow_bodies(siege: Siege) -> None:
    """300 connections that send ten bytes of a film every half second."""
    start = post(_FILM)[:2000]
    await siege.together(300, lambda _: siege.drip(start, _FILM[:10]))


@attack(Bar.THREEFOLD, answers={NONE})
async def idle_connections(siege: Siege) -> None:
    """2,000 connections that ask nothing."""
    await siege.together(2000, lambda _: siege.drip(b"", every_seconds=5))


@attack(Bar.THREEFOLD, answers={NONE})
async def never_reading(siege: Siege) -> None:
    """300 connections that ask for a script of 1.4 MB four times, and read none of it."""
    asked = _get(_SCRIPT) * 4
    await siege.together(
        300, lambda _: siege.drip(asked, every_seconds=5, receive_bytes=4096, reads=False)
    )


@attack(Bar.THREEFOLD, answers={400, NONE})
async def half_closed(siege: Siege) -> None:
    """100 connections a second that close their sending side within a head or a body."""
    request = post(_FILM)
    lengths = (1, 20, 120, 5000)
    await siege.at_rate(
        100, lambda number: siege.ask(request[: lengths[number % 4]], half_closed=True)
    )


@attack(Bar.THREEFOLD)
async def resets(siege: Siege) -> None:
    """100 connections a second that are reset within a film."""
    request = post(_FILM)

    async def client(number: int) -> None:
        siege.tally.sent += 1
        async with siege.connection() as (_, writer):
            writer.write(request[: 1000 * (number % 100)])
            await siege.pause(0.02)

    await siege.at_rate(100, client)


@attack(Bar.THREEFOLD, answers={200})
async def pipelined(siege: Siege) -> None:
    """100 connections of which four a second send 50 GETs at once, of the metrics or a probe."""
    bursts = [_get("/metrics") * 50, _get("/healthz/live") * 50]

    async def client(number: int) -> None:
        await siege.pause(number / 4)
        while not siege.stopping.is_set():
            await siege.ask(bursts[number % 2], most_answers=50, quiet_seconds=0.5)
            await siege.pause(24)

    await siege.together(100, client)
