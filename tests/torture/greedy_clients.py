"""Clients that ask for what is allowed, and for as much of it as they can get."""

from __future__ import annotations

import asyncio
from typing import Final

import numpy as np

from tests.support.dicom import dicom_file
from tests.support.films import png
from tests.torture.attack import NONE, Bar, attack
from tests.torture.films import large_png, small_film
from tests.torture.siege import Siege
from tests.torture.wire import post

_FORM: Final = "Content-Type: multipart/form-data; boundary=b"
_HELD_BYTES: Final = 60_000_000


@attack(Bar.ANY, answers={200})
async def ordinary_films(siege: Siege) -> None:
    """64 connections that send an ordinary film again and again, from one address."""
    request = post(png(small_film()))
    await siege.together(64, lambda _: siege.ask(request))


@attack(Bar.ANY, answers={200})
async def forms_of_films(siege: Siege) -> None:
    """Two connections that send forms of 100 films."""
    part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n'
    film = png(small_film())
    request = post((part + film + b"\r\n") * 100 + b"--b--\r\n", _FORM)
    await siege.together(2, lambda _: siege.ask(request))


@attack(Bar.ANY, answers={200})
async def many_frames(siege: Siege) -> None:
    """Two connections that ask for all frames of a DICOM that has 64."""
    film = dicom_file(np.stack([small_film()] * 64))
    request = post(film, path="/segment?frame=all")
    await siege.together(2, lambda _: siege.ask(request))


@attack(Bar.THREEFOLD, answers={400, NONE}, long=True)
async def held_bodies(siege: Siege) -> None:
    """Ten bodies of 60 MB, all but their ends sent at once, the rest as slowly as is allowed."""
    head = post(bytes(_HELD_BYTES + 10_000_000))[:-10_000_000]
    await siege.together(10, lambda _: siege.drip(head, bytes(100_000), every_seconds=1))


def _heavy_answer(path: str, name: str) -> None:
    """Enters an attack by one film of 49 Mpx whose answer is of a costly form."""

    async def run(siege: Siege) -> None:
        film = await asyncio.to_thread(large_png)
        await siege.learn(post(film))
        request = post(film, path=path)
        await siege.together(4, lambda _: siege.ask(request))

    run.__name__ = name
    run.__doc__ = f"Four connections that ask for {path} of a 49 Mpx PNG, of the larger model."
    attack(Bar.ONE_DECODE, answers={200, 504}, model="thorax-anatomy", long=True)(run)


_heavy_answer("/segment?format=overlay", "overlays")
_heavy_answer("/segment?format=polygons&score_threshold=0", "polygons")
_heavy_answer("/segment?format=label-map&score_threshold=0", "label_maps")
