"""The attacking side: a process of its own, which gives way to the service and the good client."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Self

import uvloop

from tests.torture.attacks import ATTACKS
from tests.torture.siege import Siege, Tally

_NICENESS: Final = 10
_LEAVE_SECONDS: Final = 35.0
_LAST_WORD_SECONDS: Final = 0.05  # a request that is being sent is sent by then
_PREPARE_SECONDS: Final = 300.0


@dataclass(frozen=True)
class Order:
    """Which attack to make, and on whom; see `Siege`."""

    name: str
    port: int
    pid: int
    model: Path
    share: float


class Besieger:
    """A process that makes one attack at a time; to be used as a context."""

    def __enter__(self) -> Self:
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_obey, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(_LEAVE_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    async def begin(self, order: Order) -> None:
        """Begins an attack; returns when it is under way.

        Raises:
            RuntimeError: if it cannot be made; the process has said why.
        """
        self._pipe.send(order)
        await self._hear(_PREPARE_SECONDS)

    async def leave_off(self) -> None:
        """Asks nothing anew, and goes on waiting for answers.

        Raises:
            RuntimeError: if the process has ended.
        """
        self._pipe.send(None)
        await self._hear(_LEAVE_SECONDS)

    async def end(self) -> Tally:
        """What became of the attack, once its last answers are there.

        Raises:
            RuntimeError: if it broke; the process has said how.
        """
        tally = await self._hear(2 * _LEAVE_SECONDS)
        if tally is None:
            raise RuntimeError("the attack said nothing of what became of it")
        return tally

    async def _hear(self, seconds: float) -> Tally | None:
        if not await asyncio.to_thread(self._pipe.poll, seconds):
            raise RuntimeError("the attacking process says nothing")
        try:
            heard: Tally | None = self._pipe.recv()
        except EOFError as error:
            raise RuntimeError("the attacking process ended") from error
        return heard


def _obey(pipe: Connection) -> None:
    """Makes the attacks that are ordered until nobody orders any more."""
    os.nice(_NICENESS)
    with suppress(EOFError, KeyboardInterrupt):
        while True:
            order: Order | None = pipe.recv()
            if order is not None:
                pipe.send(uvloop.run(_besiege(order, pipe)))


async def _besiege(order: Order, pipe: Connection) -> Tally:
    siege = Siege(order.port, order.pid, order.model, order.share)
    attack = asyncio.ensure_future(ATTACKS[order.name].run(siege))
    beginning = asyncio.ensure_future(siege.under_way.wait())
    await asyncio.wait({attack, beginning}, return_when=asyncio.FIRST_COMPLETED)
    beginning.cancel()
    pipe.send(None)
    await asyncio.to_thread(pipe.recv)
    siege.stopping.set()
    await asyncio.sleep(_LAST_WORD_SECONDS)
    pipe.send(None)
    await asyncio.wait({attack}, timeout=_LEAVE_SECONDS)
    if attack.done() and (error := attack.exception()) is not None:
        traceback.print_exception(error)
        siege.tally.faults["the attack itself broke"] += 1
    attack.cancel()
    await asyncio.gather(attack, return_exceptions=True)
    return siege.tally
