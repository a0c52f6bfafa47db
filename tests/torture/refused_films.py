"""Films and forms that are to be refused, or passed over, at little cost."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Final

import numpy as np

from benchmarks.service_process import ROOT
from tests.support.bombs import bombs as small_bombs
from tests.support.bombs import jpeg_2000
from tests.torture.attack import NONE, Bar, attack
from tests.torture.films import flat_jpeg_2000
from tests.torture.siege import Siege
from tests.torture.wire import post

_REFUSALS: Final = {400, 413, 415, 422}
_FORM: Final = "Content-Type: multipart/form-data; boundary=b"
_BOMBS_MEGABYTES: Final = 3000


@cache
def _bombs() -> list[bytes]:
    precincts = flat_jpeg_2000(7000, 7000, codestream=jpeg_2000(7000, 7000, "layers"))
    blocks = flat_jpeg_2000(7000, 7000, block_exponents=(0, 0))
    return [*small_bombs(_BOMBS_MEGABYTES).values(), precincts, blocks]


@attack(Bar.THREEFOLD, answers={200, *_REFUSALS}, long=True)
async def bombs(siege: Siege) -> None:
    """Five bombs a second, of every kind that there is; some ask for much that is not looked at."""
    requests = [post(bomb) for bomb in await asyncio.to_thread(_bombs)]
    await siege.at_rate(5, lambda number: siege.ask(requests[number % len(requests)]), at_once=4)


@attack(Bar.THREEFOLD, answers=_REFUSALS)
async def damaged_films(siege: Siege) -> None:
    """20 films a second that are cut short, and random bytes under their signatures."""
    chance = np.random.default_rng(0)
    films = [(ROOT / "examples" / name).read_bytes() for name in ("chest.png", "chest.dcm")]
    cut = [film[: int(len(film) * part)] for film in films for part in (0.001, 0.3, 0.9)]
    signed = [film[:200] + chance.bytes(100_000) for film in films]
    requests = [post(film) for film in [*cut, *signed, chance.bytes(100_000), b"", b"\x89PNG"]]
    await siege.at_rate(20, lambda number: siege.ask(requests[number % len(requests)]), at_once=8)


@attack(Bar.THREEFOLD, answers={*_REFUSALS, 431, NONE})
async def forms(siege: Siege) -> None:
    """A form every second: 100,000 parts, headers without end, boundaries nearly right."""
    part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    bodies = [
        (part + b"\r\n") * 100_000 + b"--b--\r\n",
        b'--b\r\nContent-Disposition: form-data; name="' + b"x" * 2**20 + b'"\r\n\r\n\r\n--b--\r\n',
        b"--b\r\n" + b"X: y\r\n" * 4000 + b"\r\n\r\n--b--\r\n",
        part + b"\r\n--" * 2_000_000 + b"\r\n--b--\r\n",
        part + b"\r\n-" * 2_000_000,
    ]
    requests = [post(body, _FORM) for body in bodies]
    await siege.at_rate(1, lambda number: siege.ask(requests[number % len(requests)]), at_once=2)


@attack(Bar.THREEFOLD, answers={*_REFUSALS, NONE}, long=True)
async def preambles(siege: Siege) -> None:
    """A form of 100 MB of preamble every three seconds, which has no part."""
    request = post(b"x" * 100_000_000 + b"\r\n--b--\r\n", _FORM)
    await siege.at_rate(1 / 3, lambda _: siege.ask(request), at_once=1)
