"""Mix-ups: 64 clients send 3,000 distinct films, and each gets its own answer, as if alone.

    python -m tests.torture.distinct [--films 3000] [--clients 64] [--tree DIR]

The films are PNG, JPEG, TIFF and DICOM of 40 to 420 pixels. Each is sent among the others' first,
so that it shares batches with them, and then alone; sha256 and size must be its own, and instances,
scores and masks equal to the bit. From one address at most half of the queue may wait, so that the
clients have eight; who is turned away comes again after the time that the answer names.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, Final

import cv2
import numpy as np
import uvloop

from benchmarks.service_process import ROOT, serving
from tests.support.dicom import dicom_file
from tests.support.films import chest, jpeg, png
from tests.torture.siege import Siege
from tests.torture.wire import post

ADDRESSES: Final = tuple(f"127.0.0.{number}" for number in range(2, 10))
_RETRY_AFTER: Final = re.compile(rb"(?i)\r\nretry-after: *(\d+)")
_COME_AGAIN: Final = {429, 503}


@dataclass(frozen=True)
class Film:
    """A film: its file and its (height, width)."""

    data: bytes
    size: tuple[int, int]


@dataclass
class Tally:
    """How many answers there were of each kind.

    Attributes:
        statuses: among other films, those that were asked anew too.
        foreign: answers with the sha256 or the size of another film.
        different: answers with other instances than alone.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    foreign: int = 0
    different: int = 0


def made_film(number: int) -> Film:
    """The film of a number, which no other number has."""
    chance = np.random.default_rng(number)
    height, width = map(int, chance.integers(40, 421, 2))
    deep = chest(height, width) + chance.integers(0, 200, (height, width)).astype(np.uint16)
    grey = (deep >> 4).astype(np.uint8)
    match number % 4:
        case 0:
            return Film(png(grey), (height, width))
        case 1:
            return Film(jpeg(grey), (height, width))
        case 2:
            return Film(cv2.imencode(".tiff", grey)[1].tobytes(), (height, width))
        case _:
            return Film(dicom_file(deep, BitsStored=12, HighBit=11), (height, width))


async def compare(siege: Siege, films: int, clients: int) -> Tally:
    """Sends all films among each other, and each alone."""
    tally = Tally()
    for first in range(0, films, 1000):  # of each thousand, so that memory is bounded
        some = [made_film(number) for number in range(first, min(films, first + 1000))]
        together = await _ask_all(siege, some, clients, tally)
        alone = await _ask_all(siege, some, 1, Tally())
        for film, answer, expected in zip(some, together, alone, strict=True):
            tally.foreign += not _is_own(film, answer)
            tally.different += answer is None or _instances(answer) != _instances(expected)
    return tally


async def _ask_all(siege: Siege, films: list[Film], clients: int, tally: Tally) -> list[Any]:
    answers: list[Any] = [None] * len(films)
    waiting = iter(range(len(films)))

    async def client(address: str) -> None:
        for index in waiting:
            answers[index] = await _ask(siege, films[index], address, tally)

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            group.create_task(client(ADDRESSES[number % len(ADDRESSES)]))
    return answers


async def _ask(siege: Siege, film: Film, address: str, tally: Tally) -> Any:
    request = post(film.data)
    while True:
        answer = await siege.ask(request, source=address)
        head, _, body = answer.partition(b"\r\n\r\n")
        status = int(head[9:12] or 0)
        tally.statuses[status] += 1
        if status not in _COME_AGAIN:
            return json.loads(body)["images"][0] if status == 200 else None
        seconds = _RETRY_AFTER.search(head)
        await asyncio.sleep(int(seconds[1]) if seconds else 1)


def _is_own(film: Film, answer: Any) -> bool:
    if answer is None:
        return False
    own = answer["sha256"] == hashlib.sha256(film.data).hexdigest()
    return own and (answer["height"], answer["width"]) == film.size


def _instances(answer: Any) -> Any:
    return None if answer is None else answer["instances"]


def main() -> int:
    """Command line; 1 if an answer was another's, or another than alone."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.distinct")
    parser.add_argument("--films", type=int, default=3000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--tree", type=Path, default=ROOT, help="checkout whose service to start")
    arguments = parser.parse_args()
    tree, started = arguments.tree.resolve(), monotonic()
    model = tree / "model/zoo/cxr-lungs.onnx"
    with serving(model, tree=tree, precision="auto") as service:
        siege = Siege(service.port, service.process.pid, model)
        tally = uvloop.run(compare(siege, arguments.films, arguments.clients))
        exit_code = service.stop()
    print(f"{arguments.films} films from {arguments.clients} clients, and each alone")
    print(", ".join(f"{n} x {status}" for status, n in sorted(tally.statuses.items())))
    print(f"of another film: {tally.foreign}; other than alone: {tally.different}")
    print(f"exit code {exit_code}; {(monotonic() - started) / 60:.1f} minutes")
    return int(bool(tally.foreign or tally.different or exit_code))


if __name__ == "__main__":
    sys.exit(main())
