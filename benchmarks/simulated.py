"""This service against model servers on an accelerator that is not there.

    python -m benchmarks.simulated [--clients 1 8 32] [--only mosec ...] [--environments DIR]

A run takes 10 ms and 2 ms for each image and no CPU time; at most 8 images share one. The best that
any server can do is 307.7 requests/s. Bodies have 200 KB: the bytes of an uncompressed PNG of 447 x
447. Clients ask again as soon as they are answered, on connections that stay open.

What is measured is what the servers add: receiving, queueing, batching, answering. The peers answer
with the number of bytes and look at nothing. `SOLO, bytes only` does the same, and hashes the bytes
as the service always does; its other parts are the service as it runs. `SOLO, whole` also decodes
the PNG, puts it on a canvas of 256 x 256 and encodes two masks, which no peer does. `bare Uvicorn`
is no peer but the floor: it receives, hashes, batches and answers, and does nothing else.

Each peer gets an environment of its own, made at the first run. CPU time is that of all processes
of a server. The clients share the machine: run it where nothing else runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import uvloop

from benchmarks.contenders.accelerator import MAX_BATCH, run_seconds
from benchmarks.contenders.contender import (
    ROOT,
    CannotTakePartError,
    Contender,
    Running,
    running,
)
from benchmarks.load import Load, Window, measure

_MODULE = "benchmarks.contenders"
_SOLO = ("{python}", "-m", f"{_MODULE}.solo_server", "{port}")
CONTENDERS = (
    Contender("SOLO, bytes only", (*_SOLO, "--bytes-only"), "/segment"),
    Contender("SOLO, whole", _SOLO, "/segment"),
    Contender("bare Uvicorn", ("{python}", "-m", f"{_MODULE}.bare_server", "{port}"), "/segment"),
    Contender(
        "mosec",
        ("{python}", "-m", f"{_MODULE}.mosec_server", "--port", "{port}"),
        "/inference",
        packages=("mosec",),
    ),
    Contender(
        "LitServe",
        ("{python}", "-m", f"{_MODULE}.litserve_server", "{port}"),
        "/predict",
        field="file",
        packages=("litserve", "python-multipart", "pyzmq"),
    ),
    Contender(
        "BentoML",
        ("{bin}/bentoml", "serve", f"{_MODULE}.bentoml_server:Bento", "--port", "{port}"),
        "/predict",
        field="files",
        packages=("bentoml",),
    ),
)
_SIDE = 447


def body() -> bytes:
    """A PNG of noise, stored without compression: 200 KB that are quick to decode."""
    pixels = np.random.default_rng(0).integers(0, 256, (_SIDE, _SIDE), np.uint8)
    return cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 0])[1].tobytes()


def ideal_cycle_seconds(clients: int) -> float:
    """From a client's request to its answer where batches are full and nothing else takes time."""
    return max(1, clients / MAX_BATCH) * run_seconds(min(clients, MAX_BATCH))


def ideal_throughput(clients: int) -> float:
    """Requests a second with so many clients, where nothing but the accelerator takes time."""
    return clients / ideal_cycle_seconds(clients)


def measure_one(
    contender: Contender, server: Running, clients: int, seconds: float
) -> tuple[Window, bool, float]:
    """Measures one server with so many clients.

    Returns:
        The last windows, whether they agreed, and CPU seconds for each request.
    """
    counted = 0

    async def generate(load: Load) -> None:
        nonlocal counted
        try:
            await load.closed(clients)
        finally:
            counted = load.answered

    before = server.cpu_seconds()
    target = contender.target(server.port, body(), "image/png")
    window, stable = uvloop.run(measure(target, generate, seconds, most_windows=8))
    return window, stable, (server.cpu_seconds() - before) / max(1, counted)


def row(name: str, clients: int, window: Window, stable: bool, cpu: float, first: float) -> str:
    """One line of the table."""
    p99 = window.percentile(99)
    return (
        f"{name:<18}{clients:>8}{window.throughput:>8.1f}{'' if stable else '~':1}"
        f"{100 * window.throughput / ideal_throughput(clients):>7.1f}"
        f"{1e3 * window.percentile(50):>9.1f}{1e3 * p99:>9.1f}"
        f"{p99 / ideal_cycle_seconds(clients):>8.2f}{1e3 * cpu:>9.2f}"
        f"{window.throughput / first:>9.2f}"
        + ("" if set(window.statuses) <= {200} else f"  {dict(window.statuses)}")
    )


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.simulated")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--window", type=float, default=4.0, help="seconds of a window")
    parser.add_argument("--only", nargs="+", default=[c.name for c in CONTENDERS])
    parser.add_argument("--environments", type=Path, default=ROOT / ".venv/contenders")
    arguments = parser.parse_args()
    print(
        f"{'server':<18}{'clients':>8}{'req/s':>8} {'% ideal':>7}{'p50 ms':>9}{'p99 ms':>9}"
        f"{'p99/id.':>8}{'CPU ms':>9}{'to first':>9}"
    )
    first: dict[int, float] = {}
    for contender in CONTENDERS:
        if contender.name not in arguments.only:
            continue
        try:
            with running(contender, arguments.environments, body()) as server:
                for clients in arguments.clients:
                    found = measure_one(contender, server, clients, arguments.window)
                    throughput = first.setdefault(clients, found[0].throughput)
                    print(row(contender.name, clients, *found, throughput), flush=True)
        except CannotTakePartError as reason:
            print(f"{contender.name:<18}  {reason}", flush=True)
    print("~: three windows in a row did not agree within 5 % in throughput, 10 % in the median")


if __name__ == "__main__":
    main()
