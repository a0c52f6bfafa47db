"""Torture: hostile, slow, greedy and unlucky clients and operators, and a good client beside them.

    python -m tests.torture                         all of it, about eight minutes
    python -m tests.torture --only slow-heads       one attack
    python -m tests.torture --tree DIR              the service of another checkout

Starts the service and makes one attack on it at a time, over loopback alone. Meanwhile a client
with an address of its own sends films one after the other and compares each answer with that to the
same film alone. Prints one table; the exit code is 1 if a bar was missed.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from itertools import groupby
from pathlib import Path
from time import monotonic

import uvloop

from benchmarks.service_process import ROOT
from tests.torture.attack import NONE, Attack
from tests.torture.attacks import ATTACKS
from tests.torture.besieger import Besieger
from tests.torture.good_client import GoodClient, Seen, ordinary_films
from tests.torture.row import Row
from tests.torture.scenario import Extent, besiege, exit_code_of, service_for
from tests.torture.siege import Tally

_COLUMNS = (
    "attack",
    "sent",
    "answers",
    "good client",
    "p50 ms",
    "p99 ms",
    "alone",
    "ratio",
    "wrong",
    "429, 503",
    "others",
    "idle after s",
    "MB after",
)


async def torture(attacks: Iterable[Attack], tree: Path, extent: Extent) -> list[Row]:
    """Makes all attacks, those that can share a service on one, and prints each row."""
    rows: list[Row] = []
    with Besieger() as besieger:
        for _, some in groupby(attacks, key=lambda attack: attack.service):
            waiting = list(some)
            while waiting:  # once more for those that come after a service's end
                async for row in _on_one_service(waiting, tree, besieger, extent):
                    rows.append(row)
                    print(_line(row), flush=True)
    return rows


async def _on_one_service(
    waiting: list[Attack], tree: Path, besieger: Besieger, extent: Extent
) -> AsyncIterator[Row]:
    """Makes the attacks that wait, until the service ends; each is taken off the list first."""
    good, before = GoodClient(ordinary_films()), None
    attack = waiting[0]
    try:
        with service_for(attack, tree) as (service, model):
            while waiting and service.process.poll() is None:
                attack = waiting.pop(0)
                row = await besiege(service, model, attack, besieger, good, extent, before)
                before = row.alone[-1]
                if not waiting:
                    row.should_end, row.exit_code = True, await exit_code_of(service)
                yield row
    except RuntimeError as error:
        waiting[:] = [one for one in waiting if one is not attack]
        yield Row(attack, Tally(faults=Counter([str(error)])), Seen())


def _line(row: Row) -> str:
    seen, alone = row.seen, row.p99_alone
    answers = ", ".join(
        f"{count} x {'none' if status == NONE else status}"
        for status, count in sorted(row.tally.answers.items())
    )
    values = (
        row.attack.name,
        row.tally.sent,
        answers or "-",
        len(seen.seconds),
        _number(1e3 * seen.percentile(50)),
        _number(1e3 * seen.percentile(99)),
        _number(1e3 * alone),
        _number(seen.percentile(99) / alone, 1),
        seen.wrong,
        seen.turned_away,
        ", ".join(f"{count} x {status}" for status, count in seen.others.items()) or 0,
        _number(row.idle_seconds, 1),
        row.memory_bytes // 10**6 or "-",
    )
    return "| " + " | ".join(map(str, values)) + " |"


def _number(value: float, digits: int = 0) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"


def main() -> int:
    """Command line; 1 if a bar was missed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.torture",
        epilog="\n".join(f"{name}: {attack.about}" for name, attack in ATTACKS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=list(ATTACKS), metavar="ATTACK")
    parser.add_argument("--requests", type=int, default=500, help="of the good client, each attack")
    parser.add_argument("--alone", type=int, default=100, help="before and after each attack")
    parser.add_argument("--seconds", type=float, default=60.0, help="longest time of an attack")
    parser.add_argument("--tree", type=Path, default=ROOT, help="checkout whose service to start")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    extent = Extent(arguments.requests, arguments.alone, arguments.seconds)
    attacks = sorted(
        (ATTACKS[name] for name in arguments.only or ATTACKS), key=lambda one: one.service
    )
    started = monotonic()
    print(f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}", flush=True)
    rows = uvloop.run(torture(attacks, arguments.tree.resolve(), extent))
    print(f"\n{len(rows)} attacks in {(monotonic() - started) / 60:.1f} minutes")
    missed = [f"{row.attack.name}: {sentence}" for row in rows for sentence in row.missed()]
    print("\n".join(missed) or "every bar was met")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
