"""Decoders for tests: one in this process, and a look at those in processes of their own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from solo.decoding.canvas import in_8_bits, on_canvas
from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from solo.decoding.stored_pixels import PixelsWanted
from solo.sandbox.decoder import DecodedRadiograph
from solo.sandbox.pool import DecoderPool
from tests.support.engines import CANVAS

MAX_PIXELS = 1_000_000


class DecoderHere:
    """A `RadiographDecoder` without processes or threads, for tests of what is around it."""

    width = 2

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def decode(
        self,
        data: bytes | Sequence[bytes],
        frame: int,
        wants_pixels: PixelsWanted = "none",
        *,
        wants_header: bool = False,
    ) -> DecodedRadiograph:
        whole = data if isinstance(data, bytes) else b"".join(data)
        radiograph = decode(whole, Limits(MAX_PIXELS), frame)
        canvas = on_canvas(radiograph.pixels, CANVAS)
        pixels = in_8_bits(radiograph.pixels) if wants_pixels == "grey" else None
        stored = radiograph.stored() if wants_pixels == "cells" else None
        read = radiograph.source_header if wants_header else None
        return DecodedRadiograph(radiograph.info, canvas, pixels, 0.0, stored, read and read())


@asynccontextmanager
async def decoders(
    count: int = 1, *, max_pixels: int = MAX_PIXELS, decode_seconds: float = 20.0
) -> AsyncIterator[DecoderPool]:
    """A pool of real processes, stopped at the end."""
    failures: list[str] = []
    pool = DecoderPool(count, CANVAS, Limits(max_pixels), decode_seconds, failures.append)
    try:
        await pool.start()
        yield pool
    finally:
        await pool.stop()
    assert not failures


def workers_of(parent: int | None = None) -> list[int]:
    """PIDs of a process's decoders, this process's by default."""
    parent = os.getpid() if parent is None else parent
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, ppid = (path / "stat").read_text().rpartition(")")[2].split()[:2]
            command = (path / "cmdline").read_bytes()
            if int(ppid) == parent and state != "Z" and b"worker\0" in command:
                found.append(int(path.name))
    return sorted(found)


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def until_stopped(pid: int) -> None:
    """Waits until SIGSTOP has arrived."""
    async with asyncio.timeout(10):
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            await asyncio.sleep(0.001)


async def replaced(old: list[int]) -> list[int]:
    """The processes once none of the old ones is left and there are as many as before."""
    async with asyncio.timeout(20):
        while set(now := workers_of()) & set(old) or len(now) != len(old):
            await asyncio.sleep(0.01)
    return now
