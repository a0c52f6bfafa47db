"""A siege: the attacking side's connections, how fast it may ask, and what it was answered.

Two cores are shared by the service, the good client and whoever attacks, so that each attack's rate
is bounded: one that takes a core by sending as fast as it can says nothing of the service.
"""

from __future__ import annotations

import asyncio
import json
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from tests.torture.wire import READ_BYTES, connected, heard, statuses_of

ADDRESS: Final = "127.0.0.3"
"""Of whoever attacks; the good client has another."""


@dataclass
class Tally:
    """What became of an attack.

    Attributes:
        sent: requests, or connections where nothing is asked.
        answers: how many there were of each status; 0 is a connection that ended without one.
        faults: what must never happen, and how often it did.
        decode_seconds: of its heaviest film, alone.
    """

    sent: int = 0
    answers: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    decode_seconds: float = 0.0


@dataclass
class Siege:
    """One attack on one service.

    Attributes:
        port: of the service, on 127.0.0.1.
        pid: of its main process.
        model: the file that it serves, which may be replaced.
        share: of the connections that an attack names: 1, or less in a short form.
        tally: what became of it.
        under_way: set once it has begun; preparing its bytes comes before.
        stopping: set when it is to end.
    """

    port: int
    pid: int
    model: Path
    share: float = 1.0
    tally: Tally = field(default_factory=Tally)
    under_way: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def pause(self, seconds: float) -> bool:
        """Waits; whether to go on."""
        self.under_way.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        return not self.stopping.is_set()

    def connection(
        self, source: str = ADDRESS, receive_bytes: int | None = None
    ) -> AbstractAsyncContextManager[tuple[StreamReader, StreamWriter]]:
        """See `connected`."""
        return connected(self.port, source, receive_bytes)

    async def ask(
        self,
        *parts: bytes,
        quiet_seconds: float = 0.2,
        most_answers: int = 1,
        half_closed: bool = False,
        source: str = ADDRESS,
    ) -> bytes:
        """Sends a segment for each part on a connection of its own and notes every answer.

        Args:
            parts: of what is sent.
            quiet_seconds: after an answer, how long to listen for another that must not come.
            most_answers: that the bytes deserve; more of them is a fault.
            half_closed: whether the sending side is closed then.
            source: address to come from.

        Returns:
            All that came.
        """
        self.tally.sent += 1
        received = b""
        with suppress(OSError):
            async with self.connection(source) as (reader, writer):
                # It may answer and close before the last byte: RuntimeError, says uvloop.
                with suppress(OSError, RuntimeError):
                    for part in parts:
                        writer.write(part)
                        await writer.drain()
                        await asyncio.sleep(0)
                    if half_closed:
                        writer.write_eof()
                received = await heard(reader, quiet_seconds)
        statuses = statuses_of(received)
        self.tally.answers.update(statuses or [0])
        if len(statuses) > most_answers:
            start = b"".join(parts)[:60]
            self.tally.faults[f"{len(statuses)} answers to {start!r}"] += 1
        return received

    async def learn(self, request: bytes) -> None:
        """Asks while nobody else does, for how long the film takes to decode."""
        head, _, body = (await self.ask(request, quiet_seconds=0.0)).partition(b"\r\n\r\n")
        if b" 200 " not in head[:16]:
            self.tally.faults[f"the film alone got {head[:12]!r}"] += 1
            return
        seconds = [image["timings"]["decode_seconds"] for image in json.loads(body)["images"]]
        self.tally.decode_seconds = max(self.tally.decode_seconds, *seconds)

    async def drip(
        self,
        start: bytes,
        piece: bytes = b"",
        *,
        every_seconds: float = 0.5,
        receive_bytes: int | None = None,
        reads: bool = True,
    ) -> None:
        """Sends the start, then a piece from time to time, until the service says something."""
        self.tally.sent += 1
        async with self.connection(receive_bytes=receive_bytes) as (reader, writer):
            if not reads:
                cast(asyncio.Transport, writer.transport).pause_reading()
            writer.write(start)
            hearing = asyncio.ensure_future(reader.read(READ_BYTES))
            try:
                while await self.pause(every_seconds):
                    if hearing.done() or writer.is_closing():
                        break
                    writer.write(piece)
                if hearing.done():
                    self.tally.answers.update(statuses_of(hearing.result()) or [0])
            finally:
                hearing.cancel()

    async def at_rate(
        self, per_second: float, ask: Callable[[int], Awaitable[object]], at_once: int = 100
    ) -> None:
        """Calls `ask` with 0, 1, 2 ... so many times a second, at most so many at once."""
        free = asyncio.Semaphore(at_once)

        async def one(number: int) -> None:
            async with free:
                await ask(number)

        number = 0
        async with asyncio.TaskGroup() as group:
            going = True
            while going:
                if not free.locked():
                    group.create_task(one(number))
                    number += 1
                going = await self.pause(1 / per_second)

    async def together(self, clients: int, client: Callable[[int], Awaitable[object]]) -> None:
        """So many clients, each beginning anew when it is through or was cut off."""

        async def again(number: int) -> None:
            while await self.pause(0.1):
                with suppress(OSError):
                    await client(number)

        async with asyncio.TaskGroup() as group:
            for number in range(max(1, round(clients * self.share))):
                group.create_task(again(number))
