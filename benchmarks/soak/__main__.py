"""Soak test: ten minutes of mixed load with killed decoders and a stop at the end.

    python -m benchmarks.soak [--minutes 10] [--clients 4]

The service runs in processes of its own. Clients send sound films of every kind, broken and huge
files, films in small pieces, and hang up; once a minute a decoder is killed; probes ask all the
while. At the end comes SIGTERM while requests are at work. The exit code is 1 if a sound film got
no answer or another's, a file not the error that it deserves, a probe no answer, or if the service
did not end with 0. Memory is the sum over all processes, each shared page once (Pss).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
from contextlib import suppress
from statistics import median
from time import monotonic

import uvloop

from benchmarks.service_process import ServiceProcess, serving
from benchmarks.soak.clients import Clients, Tally
from benchmarks.soak.films import bad_files, good_files

_PROBES = {"/healthz/live": 200, "/healthz/ready": 200, "/metrics": 200}
_KILL_EVERY_SECONDS = 60.0
_SAMPLE_SECONDS = 5.0
_SLOW_SECONDS = 6.0
_MB = 1e6


async def _soak(service: ServiceProcess, seconds: float, sound: int) -> tuple[Tally, list[int]]:
    clients = Clients(f"http://127.0.0.1:{service.port}", good_files(), bad_files())
    await clients.learn()
    memory: list[int] = []
    running = [
        *(clients.sound(0.05) for _ in range(sound)),
        *(clients.slow(_SLOW_SECONDS) for _ in range(2)),
        clients.broken(0.2),
        clients.leaving(0.2),
        clients.probe(_PROBES, 0.5),
    ]
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(client) for client in running]
        disturbing = group.create_task(_kill_decoders(service))
        watching = group.create_task(_watch_memory(service, memory))
        await asyncio.sleep(seconds)
        disturbing.cancel()
        watching.cancel()
        clients.stopping.set()  # nobody asks anew, and what is at work is finished
        service.process.send_signal(signal.SIGTERM)
        await asyncio.wait(tasks)
    return clients.tally, memory


async def _kill_decoders(service: ServiceProcess) -> None:
    chance = random.Random(0)
    while True:
        await asyncio.sleep(_KILL_EVERY_SECONDS)
        if decoders := service.decoders():
            with suppress(ProcessLookupError):
                os.kill(chance.choice(decoders), signal.SIGKILL)


async def _watch_memory(service: ServiceProcess, memory: list[int]) -> None:
    while True:
        memory.append(service.memory_bytes())
        await asyncio.sleep(_SAMPLE_SECONDS)


def _report(tally: Tally, memory: list[int], minutes: float, exit_code: int) -> None:
    print(f"{minutes:g} minutes; answers by client and status (0: hung up, or none)")
    for (sort, status), number in sorted(tally.answers.items()):
        print(f"  {sort:<10}{status:>4}{number:>9}")
    print(f"lost or wrong: {len(tally.lost)}")
    for line in tally.lost[:20]:
        print(f"  {line}")
    for name, seconds in (("sound films", tally.seconds), ("probes", tally.probe_seconds)):
        ordered = sorted(seconds)
        print(
            f"{name}: median {1e3 * median(ordered):.0f} ms, "
            f"p99 {1e3 * ordered[int(0.99 * len(ordered))]:.0f} ms, "
            f"longest {1e3 * ordered[-1]:.0f} ms"
        )
    fifth = max(1, len(memory) // 5)
    parts = [median(memory[start : start + fifth]) for start in range(0, len(memory), fifth)]
    print(
        "memory, median of each fifth of the time: "
        + ", ".join(f"{part / _MB:.0f}" for part in parts[:5])
        + f" MB; most {max(memory) / _MB:.0f} MB"
    )
    print(f"exit code after SIGTERM: {exit_code}")


def main() -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=4, help="that send sound films")
    arguments = parser.parse_args()
    started = monotonic()
    with serving(decode_workers=2) as service:
        tally, memory = uvloop.run(_soak(service, 60 * arguments.minutes, arguments.clients))
        exit_code = service.process.wait(60)
    _report(tally, memory, (monotonic() - started) / 60, exit_code)
    return int(bool(tally.lost) or exit_code != 0)


if __name__ == "__main__":
    sys.exit(main())
