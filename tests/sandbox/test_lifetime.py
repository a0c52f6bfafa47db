"""Decoder processes start with the service, end with it, and hold nothing that they need not."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from solo.decoding.radiograph import Limits
from solo.sandbox.pool import DecoderPool
from solo.sandbox.process import DecoderProcess, NotTakenError, ProcessEndedError
from tests.support.decoders import decoders, is_running, until_stopped, workers_of
from tests.support.films import flat, png
from tests.support.planted_worker import HANG

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_stopping_leaves_no_process_and_no_descriptor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("solo.sandbox.process._WORKER", "tests.support.planted_worker")
    await asyncio.to_thread(len, "")  # the thread pool's own descriptors are there
    before = len(os.listdir("/proc/self/fd"))
    async with decoders(2) as pool:
        pids = workers_of()
        assert len(pids) == 2
        tasks = [asyncio.create_task(pool.decode(HANG, 0)) for _ in pids]
        for pid in pids:
            await until_stopped(pid)
    for task in tasks:
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not any(map(is_running, pids))
    assert len(os.listdir("/proc/self/fd")) == before


ORPHANS = """
import asyncio
from app.logging import JsonFormatter
from tests.support.films import flat, png
from tests.support.decoders import decoders, workers_of

async def main():
    async with decoders(2):
        print(*workers_of(), flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_no_process_outlives_a_killed_service() -> None:
    command = [sys.executable, "-c", ORPHANS]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        os.kill(pids[0], signal.SIGSTOP)  # this one cannot see the end of its socket
        await until_stopped(pids[0])
        parent.kill()
    async with asyncio.timeout(10):
        while any(map(is_running, pids)):
            await asyncio.sleep(0.01)


async def test_processes_that_cannot_start_end_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[str] = []
    pool = DecoderPool(1, (64, 64), Limits(1_000_000), 5.0, failures.append)
    await pool.start()
    monkeypatch.setattr("solo.sandbox.process.sys.executable", "/bin/false")
    monkeypatch.setattr("solo.sandbox.pool._PAUSE_SECONDS", 0.0)
    os.kill(workers_of()[0], signal.SIGKILL)
    async with asyncio.timeout(10):
        while not failures:
            await asyncio.sleep(0.01)
    await pool.stop()
    assert failures == ["decoders cannot be started: ProcessEndedError"]
    with pytest.raises(ProcessEndedError):
        await pool.start()
    await pool.stop()


@pytest.mark.long
async def test_a_process_that_cannot_start_does_not_end_a_pool_that_has_another(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    attempts: list[int] = []
    open_one = DecoderPool._open

    async def counted(pool: DecoderPool) -> DecoderProcess:
        attempts.append(pool.live)
        return await open_one(pool)

    async with decoders(2) as pool, asyncio.timeout(30):
        monkeypatch.setattr(DecoderPool, "_open", counted)
        monkeypatch.setattr("solo.sandbox.pool._PAUSE_SECONDS", 0.001)
        with monkeypatch.context() as broken:
            broken.setattr("solo.sandbox.process.sys.executable", "/bin/false")
            victim, _ = workers_of()
            os.kill(victim, signal.SIGKILL)
            while len(attempts) < 12:
                await asyncio.sleep(0.01)
            assert set(attempts) == {pool.live} == {1}
            assert (await pool.decode(png(flat(7)), 0)).info.kind == "png"
        while pool.live < 2:
            await asyncio.sleep(0.01)
    told = [record.message for record in caplog.records if record.name == "solo.sandbox.pool"]
    assert told == ["a decoder ended", "a decoder cannot be started", "a decoder was started again"]


async def test_starts_that_others_kill_do_not_end_a_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    killed = 0
    ready = DecoderProcess.ready

    async def kill_some(process: DecoderProcess) -> None:
        nonlocal killed
        if killed < 30:
            killed += 1
            os.kill(process.pid, signal.SIGKILL)
        await ready(process)

    async with decoders(2) as pool, asyncio.timeout(30):
        monkeypatch.setattr(DecoderProcess, "ready", kill_some)
        monkeypatch.setattr("solo.sandbox.pool._PAUSE_SECONDS", 0.001)
        for pid in workers_of():
            os.kill(pid, signal.SIGKILL)
        while pool.live:
            await asyncio.sleep(0.01)
        assert (await pool.decode(png(flat(7)), 0)).info.kind == "png"
    assert killed == 30


async def test_a_pool_whose_starts_are_killed_for_good_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failures: list[str] = []
    pool = DecoderPool(1, (64, 64), Limits(1_000_000), 5.0, failures.append)
    await pool.start()

    async def killed(_: DecoderProcess) -> None:
        raise ProcessEndedError(-signal.SIGKILL)

    monkeypatch.setattr(DecoderProcess, "ready", killed)
    monkeypatch.setattr("solo.sandbox.pool._PAUSE_SECONDS", 0.0)
    os.kill(workers_of()[0], signal.SIGKILL)
    async with asyncio.timeout(60):
        while not failures:
            await asyncio.sleep(0.01)
    await pool.stop()
    assert failures == ["decoders cannot be started: ProcessEndedError"]


async def test_a_pool_that_stops_as_soon_as_it_has_started_leaves_nothing() -> None:
    async with decoders(2):
        pids = workers_of()
    assert len(pids) == 2
    assert not any(map(is_running, pids))


async def test_a_process_that_is_gone_gets_no_file_and_writes_nowhere() -> None:
    process = DecoderProcess((64, 64), 1_000_000, 2**30)
    await process.ready()
    descriptor = process._config.upload
    await process.close()
    other = os.memfd_create("another film")
    os.dup2(other, descriptor)  # the kernel gives a closed number to whoever comes next
    try:
        with pytest.raises(NotTakenError):
            await process.decode([b"a film of somebody"], 0, wants_pixels="none")
        assert os.fstat(other).st_size == 0
    finally:
        for opened in {other, descriptor}:
            os.close(opened)


async def test_a_process_is_confined() -> None:
    async with decoders() as pool:
        (pid,) = workers_of()
        lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
        limits = {line[:26].strip(): line[26:].split()[0] for line in lines[1:]}
        assert limits["Max core file size"] == "0"
        assert limits["Max file size"] == "0"
        mapped = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
        assert 0 < int(limits["Max address space"]) - mapped <= pool.memory_bytes
        status = Path(f"/proc/{pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status
        descriptors = Path(f"/proc/{pid}/fd").iterdir()
        held = sorted(os.readlink(path).split(":")[0].split(" ")[0] for path in descriptors)
        assert held == ["/dev/null"] * 3 + ["/memfd"] * 4 + ["socket"]  # two for mappings
        assert os.getpgid(pid) == pid  # Ctrl-C does not reach it


async def test_a_stricter_limit_of_the_operator_stays() -> None:
    """`ulimit -v` and systemd's LimitAS= hold for decoders too, which cannot start beyond it."""
    code = (
        "import resource as r; from solo.sandbox.limits import confine; "
        "r.setrlimit(r.RLIMIT_AS, (2**30, 2**30)); confine(2**32); print(*r.getrlimit(r.RLIMIT_AS))"
    )
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.split() == [str(2**30)] * 2


async def test_a_process_knows_no_settings_and_no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLO_PLANTED", "secret")
    monkeypatch.setenv("PLANTED_KEY", "secret")
    async with decoders():
        (pid,) = workers_of()
        assert b"secret" not in Path(f"/proc/{pid}/environ").read_bytes()


NEEDLESS = ("fastapi", "starlette", "uvicorn", "pydantic", "onnxruntime", "torch", "asyncio", "PIL")


def test_a_process_imports_what_decodes_and_nothing_else() -> None:
    code = f"import solo.sandbox.worker, sys; print(*[n for n in {NEEDLESS!r} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""
