"""Attacks on the service's processes: decoders that die or stop, signals, a log nobody reads."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.support.films import png
from tests.torture.attack import Bar, attack
from tests.torture.films import small_film
from tests.torture.siege import Siege
from tests.torture.wire import post

_DECODE_SECONDS: Final = 3.0
_LOOKS: Final = 3
"""In a row that find every decoder asleep: none of them is starting."""


def _decoders(siege: Siege) -> list[int]:
    """Ids of the service's child processes, the newest last."""
    with suppress(OSError):
        children = Path(f"/proc/{siege.pid}/task/{siege.pid}/children").read_text()
        return [int(pid) for pid in children.split()]
    return []


def _sleeps(pid: int) -> bool:
    """Whether a process waits for work; one that starts computes, or waits for a processor."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"
    return False


def _send(pid: int, number: signal.Signals, siege: Siege) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
        siege.tally.sent += 1


@attack(Bar.ANY)
async def killed_decoders(siege: Siege) -> None:
    """SIGKILL to the oldest decoder whenever all of them are ready."""
    looks = 0
    while await siege.pause(0.1):
        decoders = _decoders(siege)
        looks = looks + 1 if decoders and all(map(_sleeps, decoders)) else 0
        if looks == _LOOKS:
            _send(decoders[0], signal.SIGKILL, siege)
            looks = 0


@attack(Bar.ANY, settings={"decode_workers": 2}, long=True)
async def killed_while_starting(siege: Siege) -> None:
    """SIGKILL to each decoder that takes the first one's place, while it starts."""
    lasting = set(_decoders(siege)[1:])
    while await siege.pause(0.3):
        for pid in set(_decoders(siege)) - lasting:
            _send(pid, signal.SIGKILL, siege)


@attack(Bar.ANY, good_answers={504}, settings={"decode_seconds": _DECODE_SECONDS}, long=True)
async def stopped_decoders(siege: Siege) -> None:
    """SIGSTOP to a decoder every two spans of the time limit; its file may get 504."""
    turn = 0
    while await siege.pause(2 * _DECODE_SECONDS if turn else 0.2):
        if decoders := _decoders(siege):
            _send(decoders[turn % len(decoders)], signal.SIGSTOP, siege)
        turn += 1


@attack(Bar.THREEFOLD, answers={404}, unread=True)
async def unread_log(siege: Siege) -> None:
    """100 odd paths a second, each a line of a log that nobody reads."""
    await siege.at_rate(100, lambda _: siege.ask(post(b"", path="/nothing/" + "x" * 100)))


@attack(Bar.THREEFOLD, settings={"reload_on_hangup": "false"})
async def hangups(siege: Siege) -> None:
    """SIGHUP ten times a second, to a service that does not reload."""
    while await siege.pause(0.1):
        _send(siege.pid, signal.SIGHUP, siege)


@attack(Bar.ANY, settings={"reload_on_hangup": "true"})
async def reloads(siege: Siege) -> None:
    """SIGHUP every second, with the same model, with rubbish, with half of it, with a FIFO."""
    whole, spare = siege.model.read_bytes(), siege.model.with_suffix(".new")
    turn = 0
    while await siege.pause(1.0 if turn else 0.0):
        match turn % 4:
            case 3:
                os.mkfifo(spare)
            case kind:
                spare.write_bytes((whole, b"rubbish" * 1000, whole[: len(whole) // 2])[kind])
        shutil.move(spare, siege.model)
        _send(siege.pid, signal.SIGHUP, siege)
        turn += 1


@attack(Bar.ANY, answers={200}, terminates=True)
async def terminated(siege: Siege) -> None:
    """32 connections of ordinary films; SIGTERM comes while they wait for their answers."""
    request = post(png(small_film()))
    await siege.together(32, lambda _: siege.ask(request))
