"""Clients of every sort, each asking again and again until it is time to stop.

A request is lost if a sound film gets no answer, or one that is neither its own nor an invitation
to come again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter

from benchmarks.http_client import Connection, Reply, Target
from benchmarks.soak.films import File

_COME_AGAIN = {429, 503}
_PIECES = 40
_PATIENCE_SECONDS = 60.0

Outlines = list[tuple[str, int, list[int]]]
"""Of each instance: label, area, box."""


@dataclass
class Tally:
    """What became of everything that was sent.

    Attributes:
        answers: how many answers of each status each sort of client got; 0 is none at all.
        lost: what a sound film got instead of its answer.
        seconds: of each answer to a sound film.
        probe_seconds: of each answer of a probe.
    """

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    probe_seconds: list[float] = field(default_factory=list)


class Clients:
    """All clients of one service.

    Args:
        url: of the service.
        good: sound films.
        bad: files with the status that each deserves.
    """

    def __init__(self, url: str, good: list[File], bad: list[File]) -> None:
        self.tally = Tally()
        self.stopping = asyncio.Event()
        self._url = url
        self._good = good
        self._bad = bad
        self._expected: dict[str, Outlines] = {}
        self._chance = random.Random(0)

    async def learn(self) -> None:
        """Asks for each sound film once, alone: its answer from now on."""
        for film in self._good:
            reply = await self._ask(film)
            if reply.status != 200:
                raise RuntimeError(f"{film.name}: {reply.status} {reply.body[:200]!r}")
            self._expected[film.name] = _outlines(reply, film)
        answers = [json.dumps(outlines) for outlines in self._expected.values()]
        if len(set(answers)) < len(answers):
            raise RuntimeError("two films have one answer: a mix-up would not be seen")

    async def sound(self, pause_seconds: float) -> None:
        """Sends sound films; each must come back with its own answer."""
        while not self.stopping.is_set():
            film = self._chance.choice(self._good)
            started = perf_counter()
            reply = await self._ask(film)
            self._judge("sound", film, reply, perf_counter() - started)
            await self._pause(pause_seconds)

    async def broken(self, pause_seconds: float) -> None:
        """Sends what deserves an error, and wants that one."""
        for number in count():
            if self.stopping.is_set():
                return
            file = self._bad[number % len(self._bad)]
            reply = await self._ask(file)
            self.tally.answers["broken", reply.status] += 1
            if reply.status not in {file.status, *_COME_AGAIN}:
                self.tally.lost.append(f"{file.name}: {reply.status}, not {file.status}")
            await self._pause(pause_seconds)

    async def slow(self, seconds: float) -> None:
        """Sends a sound film in small pieces over some time."""
        while not self.stopping.is_set():
            film = self._good[0]
            started = perf_counter()
            reply = await self._trickle(film, seconds)
            self._judge("slow", film, reply, perf_counter() - started - seconds)

    async def leaving(self, pause_seconds: float) -> None:
        """Hangs up in the middle of its film, or before its answer."""
        for number in count():
            if self.stopping.is_set():
                return
            film = self._good[number % len(self._good)]
            request = _target(self._url, film).request
            sent = request if number % 2 else request[: len(request) // 2]
            _, writer = await asyncio.open_connection(*_address(self._url))
            writer.write(sent)
            with suppress(OSError):
                await writer.drain()
                await asyncio.sleep(self._chance.uniform(0, 0.05))
            writer.close()
            self.tally.answers["leaving", 0] += 1
            await self._pause(pause_seconds)

    async def probe(self, paths: Mapping[str, int], pause_seconds: float) -> None:
        """Asks for health and metrics all the while."""
        while not self.stopping.is_set():
            for path, status in paths.items():
                started = perf_counter()
                reply = await self._fetch(path)
                self.tally.probe_seconds.append(perf_counter() - started)
                self.tally.answers["probe", reply.status] += 1
                if reply.status != status:
                    self.tally.lost.append(f"{path}: {reply.status}")
            await self._pause(pause_seconds)

    def _judge(self, sort: str, film: File, reply: Reply, seconds: float) -> None:
        self.tally.answers[sort, reply.status] += 1
        if reply.status == 200:
            self.tally.seconds.append(seconds)
            if _outlines(reply, film) != self._expected[film.name]:
                self.tally.lost.append(f"{film.name}: the answer of another")
        elif reply.status not in _COME_AGAIN:
            self.tally.lost.append(f"{film.name} ({sort}): {reply.status} {reply.body[:300]!r}")

    async def _ask(self, file: File) -> Reply:
        return await self._send(_target(self._url, file))

    async def _fetch(self, path: str) -> Reply:
        host, port = _address(self._url)
        head = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"
        return await self._send(Target(host, port, head.encode()))

    async def _send(self, target: Target) -> Reply:
        connection = await Connection.open(target)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await connection.ask(target)
        except TimeoutError:
            return Reply(0, b"no answer in time")
        finally:
            connection.close()

    async def _trickle(self, film: File, seconds: float) -> Reply:
        target = _target(self._url, film)
        reader, writer = await asyncio.open_connection(target.host, target.port)
        step = -(-len(target.request) // _PIECES)
        try:
            for start in range(0, len(target.request), step):
                writer.write(target.request[start : start + step])
                await writer.drain()
                await asyncio.sleep(seconds / _PIECES)
            async with asyncio.timeout(_PATIENCE_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.lower().splitlines()
                    if line.startswith(b"content-length")
                )
                return Reply(int(head[9:12]), await reader.readexactly(length))
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return Reply(0)
        finally:
            writer.close()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._chance.uniform(0, 2 * seconds)):
                await self.stopping.wait()


def _target(url: str, file: File) -> Target:
    return Target.post(f"{url}/segment", file.data, "application/octet-stream")


def _address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").partition(":")
    return host, int(port)


def _outlines(reply: Reply, film: File) -> Outlines:
    """The answer's instances; it must be that file's.

    Raises:
        ValueError: if the answer names another file.
    """
    (image,) = json.loads(reply.body)["images"]
    if image["sha256"] != hashlib.sha256(film.data).hexdigest():
        raise ValueError("the answer is of another file")
    return [
        (instance["label"], instance["area"], instance["bbox"]) for instance in image["instances"]
    ]
