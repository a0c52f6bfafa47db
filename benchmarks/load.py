"""Loads a running service and says how it bore it.

    python -m benchmarks.load URL FILE --clients 8            so many ask again and again
    python -m benchmarks.load URL FILE --rate 20              so many a second, come what may

A closed loop (`--clients`) finds the throughput; its clients wait with the service and hide its
worst moments. An open loop (`--rate`) sends at times that do not depend on answers, and counts
latency from when a request was due. Windows are measured until three in a row agree within 5 % in
throughput and 10 % in the median latency; only these three count.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import uvloop

from benchmarks.http_client import Connection, Target

PERCENTILES = (50, 90, 95, 99, 99.9)
_STABLE_WINDOWS = 3
_SAMPLE = re.compile(r'solo_stage_seconds_(sum|count)\{stage="(\w+)"\} (\S+)')


@dataclass
class Window:
    """What was seen in one stretch of time.

    Attributes:
        seconds: its length.
        latencies: seconds of each answered request.
        statuses: how many answers of each status; 0 is a broken connection.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    @property
    def throughput(self) -> float:
        """Answers of status 200 a second."""
        return self.statuses[200] / self.seconds if self.seconds else 0.0

    def percentile(self, percent: float) -> float:
        """Latency in seconds that this share of the requests did not exceed; nearest rank."""
        ordered = sorted(self.latencies)
        if not ordered:
            return float("nan")
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]

    def __add__(self, other: Window) -> Window:
        return Window(
            self.seconds + other.seconds,
            self.latencies + other.latencies,
            self.statuses + other.statuses,
        )


class Load:
    """Sends requests and notes answers in the current window.

    Args:
        target: what to ask.

    Attributes:
        window: where answers are noted now.
        answered: all answers, whatever their window and status.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self.window = Window()
        self.answered = 0

    async def ask(self, connection: Connection, due: float | None = None) -> Connection:
        """Asks once; a broken connection is replaced."""
        started = perf_counter() if due is None else due
        reply = await connection.ask(self._target)
        self.window.statuses[reply.status] += 1
        self.answered += 1
        if reply.status == 200:
            self.window.latencies.append(perf_counter() - started)
        return await Connection.open(self._target) if reply.status == 0 else connection

    async def closed(self, clients: int) -> None:
        """So many clients, each asking again when it is answered; ends when cancelled."""

        async def client() -> None:
            connection = await Connection.open(self._target)
            while True:
                connection = await self.ask(connection)

        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(client())

    async def opened(self, rate: float) -> None:
        """Requests at random times (Poisson), so many a second on average; ends when cancelled."""
        idle: list[Connection] = []
        chance = random.Random(0)

        async def once(due: float) -> None:
            connection = idle.pop() if idle else await Connection.open(self._target)
            idle.append(await self.ask(connection, due))

        due = perf_counter()
        async with asyncio.TaskGroup() as group:
            while True:
                due += chance.expovariate(rate)
                await asyncio.sleep(max(0.0, due - perf_counter()))
                group.create_task(once(due))


async def measure(
    target: Target,
    generate: Callable[[Load], Awaitable[None]],
    window_seconds: float,
    most_windows: int,
) -> tuple[Window, bool]:
    """Measures windows until three in a row agree.

    Returns:
        The last three windows as one, and whether they agreed.
    """
    load = Load(target)
    task = asyncio.ensure_future(generate(load))
    windows: list[Window] = []
    try:
        await asyncio.sleep(window_seconds / 2)  # connections open, batches find their rhythm
        while len(windows) < most_windows and not _agree(windows):
            load.window, started = Window(), perf_counter()
            await asyncio.wait({task}, timeout=window_seconds)
            if task.done():
                task.result()
            load.window.seconds = perf_counter() - started
            windows.append(load.window)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return sum(windows[-_STABLE_WINDOWS:], Window()), _agree(windows)


def _agree(windows: list[Window]) -> bool:
    last = windows[-_STABLE_WINDOWS:]
    if len(last) < _STABLE_WINDOWS:
        return False
    pairs = [([w.throughput for w in last], 0.05), ([w.percentile(50) for w in last], 0.10)]
    return all(max(values) - min(values) <= share * max(values) for values, share in pairs)


def stage_totals(url: str) -> dict[str, tuple[float, float]]:
    """(seconds, images) that the service has counted in each of its stages."""
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        text = answer.read().decode()
    found: dict[str, dict[str, float]] = {}
    for kind, stage, value in _SAMPLE.findall(text):
        found.setdefault(stage, {})[kind] = float(value)
    return {stage: (values["sum"], values["count"]) for stage, values in found.items()}


def report(window: Window, stable: bool) -> None:
    """Prints throughput, latencies and what was not answered."""
    print(f"{window.throughput:9.1f} requests/s" + ("" if stable else "  (windows did not agree)"))
    for percent in PERCENTILES:
        print(f"{1e3 * window.percentile(percent):9.1f} ms  p{percent:g}")
    print(
        "  statuses: " + ", ".join(f"{n} x {code}" for code, n in sorted(window.statuses.items()))
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    parser.add_argument("url", help="such as http://127.0.0.1:8000")
    parser.add_argument("file", type=Path, help="film to send")
    parser.add_argument("--query", default="", help="such as lane=bulk")
    parser.add_argument("--window", type=float, default=5.0, help="seconds of a window")
    parser.add_argument("--most-windows", type=int, default=12)
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--clients", type=int)
    kind.add_argument("--rate", type=float)
    arguments = parser.parse_args()

    def generate(load: Load) -> Awaitable[None]:
        if arguments.clients is not None:
            return load.closed(arguments.clients)
        return load.opened(arguments.rate)

    url = f"{arguments.url}/segment" + (f"?{arguments.query}" if arguments.query else "")
    target = Target.post(url, arguments.file.read_bytes(), "application/octet-stream")
    before = stage_totals(arguments.url)
    window, stable = uvloop.run(measure(target, generate, arguments.window, arguments.most_windows))
    report(window, stable)
    print("  of which in the service, mean of the whole run:")
    for stage, (seconds, count) in stage_totals(arguments.url).items():
        seconds, count = seconds - before[stage][0], count - before[stage][1]
        if count:
            print(f"{1e3 * seconds / count:9.2f} ms  {stage}")


if __name__ == "__main__":
    main()
