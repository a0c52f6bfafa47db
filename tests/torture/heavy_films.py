"""Films that are legal, as large as the service allows, and costly to decode."""

from __future__ import annotations

import asyncio

from tests.torture.attack import Bar, attack
from tests.torture.films import SIDE, flat_jpeg_2000, large_deflated, large_png
from tests.torture.siege import Siege
from tests.torture.wire import post

_ANSWERS = {200, 504}  # more of them than the deadline allows is the sender's own fault


async def _four_connections(siege: Siege, film: bytes) -> None:
    request = post(film)
    await siege.learn(request)
    await siege.together(4, lambda _: siege.ask(request))


@attack(Bar.ONE_DECODE, answers=_ANSWERS, long=True)
async def large_pngs(siege: Siege) -> None:
    """Four connections that send a PNG of 49 Mpx and 16 bits again and again."""
    await _four_connections(siege, await asyncio.to_thread(large_png))


@attack(Bar.ONE_DECODE, answers=_ANSWERS, long=True)
async def small_code_blocks(siege: Siege) -> None:
    """Four connections that send a JPEG 2000 of 49 Mpx in code blocks of 16 x 16."""
    await _four_connections(siege, flat_jpeg_2000(SIDE, SIDE, block_exponents=(2, 2)))


@attack(Bar.ONE_DECODE, answers=_ANSWERS, long=True)
async def deflated(siege: Siege) -> None:
    """Four connections that send a deflated DICOM of 49 Mpx."""
    await _four_connections(siege, await asyncio.to_thread(large_deflated))
