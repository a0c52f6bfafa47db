"""One scenario: an attack on a service, and what a good client sees of it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from benchmarks.service_process import ROOT, ServiceProcess, serving
from tests.torture.attack import Attack
from tests.torture.besieger import Besieger, Order
from tests.torture.good_client import GoodClient
from tests.torture.row import Row

_IDLE_SHARE = 0.1  # of one core
_LOOK_SECONDS = 0.2
_STOP_SECONDS = 40.0
_PIPE_BYTES = 4096  # the least that there is: it is soon full
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Extent:
    """How long a scenario is.

    Attributes:
        requests: of the good client while the attack runs.
        alone: of the good client before and after it, each.
        seconds: longest time for the former.
        share: of the attack's connections.
        settle_seconds: from the attack's beginning to the good client's.
    """

    requests: int = 500
    alone: int = 100
    seconds: float = 60.0
    share: float = 1.0
    settle_seconds: float = 1.0


@contextmanager
def service_for(
    attack: Attack, tree: Path = ROOT, model: Path | None = None
) -> Iterator[tuple[ServiceProcess, Path]]:
    """The service that an attack is made on, and the copy of its model that it serves.

    Args:
        attack: to be made.
        tree: checkout whose service to start.
        model: to serve; the attack's own if absent.
    """
    with tempfile.TemporaryDirectory() as folder:
        original = model or tree / "model/zoo" / f"{attack.model}.onnx"
        model = Path(shutil.copy(original, folder))
        unread, output = os.pipe() if attack.unread else (None, None)
        if output is not None:
            fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            with serving(
                model, tree=tree, output=output or subprocess.DEVNULL, **attack.settings
            ) as service:
                yield service, model
        finally:
            for end in (unread, output):
                if end is not None:
                    os.close(end)


async def besiege(
    service: ServiceProcess,
    model: Path,
    attack: Attack,
    besieger: Besieger,
    good: GoodClient,
    extent: Extent,
    before: float | None = None,
) -> Row:
    """Makes one attack on a service that is ready.

    Args:
        service: to attack.
        model: the file that it serves.
        attack: to make.
        besieger: who makes it.
        good: the client whose answers count.
        extent: how long.
        before: the good client's p99 seconds alone, if this service was just asked for it.

    Raises:
        RuntimeError: if the good client is not answered before, or the attack cannot be made.
    """
    port = service.port
    if before is None:
        await good.learn(port)
        before = (await good.send(port, extent.alone)).percentile(99)
    await besieger.begin(Order(attack.name, port, service.process.pid, model, extent.share))
    await asyncio.sleep(extent.settle_seconds)
    seen = await good.send(port, extent.requests, extent.seconds)
    left_off = monotonic()
    await besieger.leave_off()
    if attack.terminates:
        service.process.send_signal(signal.SIGTERM)
    row = Row(attack, await besieger.end(), seen, should_end=attack.has_own_service)
    good.close()
    row.alone = [before]
    if not attack.terminates and service.process.poll() is None:
        row.idle_seconds = await _until_idle(service) - left_off
        row.memory_bytes = service.memory_bytes()
        after = await good.send(port, extent.alone)
        good.close()
        row.alone.append(after.percentile(99))
        if lost := extent.alone - len(after.seconds):
            row.tally.faults["not answered afterwards"] += lost
    row.exit_code = await exit_code_of(service) if row.should_end else service.process.poll()
    return row


async def exit_code_of(service: ServiceProcess) -> int | None:
    """Sends SIGTERM, unless it has ended, and waits; None if it does not end in time."""
    if service.process.poll() is None:
        service.process.send_signal(signal.SIGTERM)
    try:
        return await asyncio.to_thread(service.process.wait, _STOP_SECONDS)
    except subprocess.TimeoutExpired:
        return None


async def _until_idle(service: ServiceProcess, most_seconds: float = 60.0) -> float:
    """When the service's processes computed no more, by the monotonic clock."""
    give_up = monotonic() + most_seconds
    while (asked := monotonic()) < give_up:
        before = _processor_ticks(service)
        await asyncio.sleep(_LOOK_SECONDS)
        used = (_processor_ticks(service) - before) / _TICKS
        if 0 <= used < _IDLE_SHARE * _LOOK_SECONDS:
            break
    return asked


def _processor_ticks(service: ServiceProcess) -> int:
    ticks = 0
    for pid in service.family():
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        ticks += int(fields[11]) + int(fields[12])
    return ticks
