"""Real decoder processes: what they answer, and what happens when they cannot."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import (
    HTJ2K,
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
)

from app.errors import status_of
from app.logging import JsonFormatter
from solo.decoding.dicom.transfer_syntaxes import JPEGXLLossless
from solo.errors import (
    DeadlineError,
    DecoderCrashedError,
    DecoderLostError,
    DecoderMemoryError,
    EmptyError,
    ImageTooLargeError,
    InvalidParameterError,
    MalformedError,
    SoloError,
)
from solo.sandbox.decoder import DecodedRadiograph
from solo.sandbox.pool import DecoderPool
from solo.sandbox.process import DecoderProcess
from solo.sandbox.protocol import KEPT_BYTES
from tests.support.decoders import (
    DecoderHere,
    decoders,
    is_running,
    replaced,
    until_stopped,
    workers_of,
)
from tests.support.dicom import dicom_file
from tests.support.encapsulated import EXACT, LOSSY, encoded_file
from tests.support.films import chest, flat, jpeg, png, png_header_only
from tests.support.planted_worker import (
    ABORT,
    BOMB,
    EXIT,
    FAULT,
    FRAGMENTS,
    HANG,
    HANG_ONCE,
    LEAK,
    NOISE,
    NONSENSE,
    SEGFAULT,
)

pytestmark = pytest.mark.anyio

FILM = chest()
GREY = (FILM // 16).astype(np.uint8)
GOOD = png(GREY)
FILES = {
    "png": GOOD,
    "deep png": png(FILM),
    "jpeg": jpeg(GREY),
    "dicom": dicom_file(FILM, ImagerPixelSpacing=[0.1, 0.2]),
    "deflated": dicom_file(FILM, syntax=DeflatedExplicitVRLittleEndian),
    "rle": dicom_file(FILM, syntax=RLELossless),
}
ROOT = Path(__file__).parents[2]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def pool() -> AsyncIterator[DecoderPool]:
    async with decoders() as running:
        yield running


def private_bytes(pid: int) -> int:
    """Memory that a process shares with no other."""
    _, resident, shared, *_ = map(int, Path(f"/proc/{pid}/statm").read_text().split())
    return (resident - shared) * os.sysconf("SC_PAGESIZE")


@pytest.fixture(autouse=True)
def _planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("solo.sandbox.process._WORKER", "tests.support.planted_worker")


def end(pid: int, number: signal.Signals) -> None:
    """Ends a process that is stopped."""
    os.kill(pid, number)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


async def hanging(pool: DecoderPool) -> tuple[asyncio.Task[DecodedRadiograph], int]:
    """A file whose decoder hangs, and the decoder's process."""
    (pid,) = workers_of()
    task = asyncio.create_task(pool.decode(HANG, 0))
    await until_stopped(pid)
    return task, pid


async def test_apart_is_as_in_process(pool: DecoderPool) -> None:
    here = DecoderHere()
    for name, data in FILES.items():
        expected, found = await here.decode(data, 0), await pool.decode(data, 0)
        assert found.info == expected.info, name
        np.testing.assert_array_equal(found.canvas, expected.canvas, name)
        assert found.pixels is None
        assert found.seconds > 0


@pytest.mark.parametrize(
    ("data", "frame", "error"),
    [
        (b"", 0, EmptyError),
        (b"hello", 0, MalformedError),
        (GOOD[:-20], 0, MalformedError),
        (GOOD, 1, InvalidParameterError),
        (png_header_only(40_000, 40_000), 0, ImageTooLargeError),
    ],
)
async def test_a_refusal_is_the_decoders_own(
    pool: DecoderPool, data: bytes, frame: int, error: type[Exception]
) -> None:
    before = workers_of()
    with pytest.raises(error) as apart:
        await pool.decode(data, frame)
    with pytest.raises(error) as here:
        await DecoderHere().decode(data, frame)
    assert type(apart.value) is type(here.value)
    assert str(apart.value) == str(here.value)
    assert workers_of() == before


@pytest.mark.parametrize("data", [SEGFAULT, ABORT, EXIT])
async def test_a_file_that_breaks_its_decoder_is_malformed(pool: DecoderPool, data: bytes) -> None:
    before = workers_of()
    broken = asyncio.create_task(pool.decode(data, 0))
    waiting = asyncio.create_task(pool.decode(GOOD, 0))
    with pytest.raises(DecoderCrashedError) as raised:
        await asyncio.wait_for(broken, 10)
    assert (status_of(raised.value), raised.value.retry_after_seconds) == (400, None)
    assert (await asyncio.wait_for(waiting, 20)).info.kind == "png"
    assert not set(before) & set(workers_of())


async def test_a_decoder_that_talks_nonsense_is_not_believed(pool: DecoderPool) -> None:
    for data in NONSENSE:
        before = workers_of()
        with pytest.raises(DecoderCrashedError):
            await asyncio.wait_for(pool.decode(data, 0), 10)
        await replaced(before)
    assert (await asyncio.wait_for(pool.decode(GOOD, 0), 20)).info.kind == "png"


async def test_a_file_may_come_in_pieces_and_be_larger_than_what_is_kept(
    pool: DecoderPool,
) -> None:
    data = dicom_file(FILM)
    whole = await pool.decode(data, 0)
    pieces = [data[start : start + 1000] for start in range(0, len(data), 1000)]
    assert len(pieces) > 5
    np.testing.assert_array_equal((await pool.decode(pieces, 0)).canvas, whole.canvas)
    large = dicom_file(FILM, EncapsulatedDocument=bytes(KEPT_BYTES))
    np.testing.assert_array_equal((await pool.decode(large, 0)).canvas, whole.canvas)
    np.testing.assert_array_equal((await pool.decode(data, 0)).canvas, whole.canvas)
    with pytest.raises(EmptyError):
        await pool.decode([b"", b""], 0)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_process_killed_with_a_file_is_no_fault_of_the_file(
    pool: DecoderPool, number: signal.Signals
) -> None:
    task, first = await hanging(pool)
    end(first, number)
    (second,) = await replaced([first])
    await until_stopped(second)
    end(second, number)
    with pytest.raises(DecoderLostError) as raised:
        await asyncio.wait_for(task, 10)
    assert (status_of(raised.value), raised.value.retry_after_seconds) == (503, 1)
    assert (await asyncio.wait_for(pool.decode(GOOD, 0), 20)).info.kind == "png"


async def test_a_file_whose_process_was_killed_once_is_answered(
    pool: DecoderPool, tmp_path: Path
) -> None:
    (pid,) = workers_of()
    file = HANG_ONCE + bytes(tmp_path / "was here") + b"\n" + GOOD
    task = asyncio.create_task(pool.decode(file, 0))
    await until_stopped(pid)
    end(pid, signal.SIGKILL)
    assert (await asyncio.wait_for(task, 20)).info.kind == "png"


async def test_a_fault_is_named_in_the_log_without_its_text(
    pool: DecoderPool, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(SoloError) as raised:
        await pool.decode(FAULT, 0)
    assert status_of(raised.value) == 500
    with pytest.raises(MalformedError):
        await pool.decode(NOISE, 0)
    lines = [JsonFormatter().format(record) for record in caplog.records]
    assert any('"RuntimeError"' in line and "planted_worker.py" in line for line in lines)
    written = capfd.readouterr()
    assert "Planted" not in "".join([*lines, written.out, written.err, str(raised.value)])


async def test_a_process_killed_while_idle_costs_nobody_an_answer(pool: DecoderPool) -> None:
    for _ in range(2):
        before = workers_of()
        os.kill(before[0], signal.SIGKILL)
        assert (await asyncio.wait_for(pool.decode(GOOD, 0), 20)).info.kind == "png"
        await replaced(before)


async def test_a_process_that_dies_while_a_file_is_handed_over_is_passed_over(
    pool: DecoderPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = DecoderProcess._write
    killed: list[int] = []

    def kill_and_write(process: DecoderProcess, pieces: Sequence[bytes]) -> None:
        if not killed:
            killed.append(process.pid)
            os.kill(process.pid, signal.SIGKILL)
            while is_running(process.pid):
                time.sleep(0.001)
        write(process, pieces)

    monkeypatch.setattr(DecoderProcess, "_write", kill_and_write)
    assert (await asyncio.wait_for(pool.decode(GOOD, 0), 20)).info.kind == "png"
    assert killed[0] not in workers_of()


async def test_a_hanging_decoder_is_killed_at_its_deadline() -> None:
    async with decoders(decode_seconds=0.5) as pool:
        task, pid = await hanging(pool)
        with pytest.raises(DeadlineError, match=r"more than 0\.5 seconds") as raised:
            await asyncio.wait_for(task, 10)
        assert status_of(raised.value) == 504
        await replaced([pid])
        assert (await asyncio.wait_for(pool.decode(GOOD, 0), 20)).info.kind == "png"


async def test_a_file_nobody_waits_for_any_more_keeps_its_process(pool: DecoderPool) -> None:
    task, pid = await hanging(pool)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    os.kill(pid, signal.SIGCONT)
    dark = await asyncio.wait_for(pool.decode(png(flat(0)), 0), 10)
    assert workers_of() == [pid]
    assert dark.canvas.max() == 0  # its own answer, not the one that was left behind


async def test_a_bomb_gets_no_more_than_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DecoderPool, "memory_bytes", 100 * 2**20)
    async with decoders() as pool:
        with pytest.raises(DecoderMemoryError):
            await asyncio.wait_for(pool.decode(BOMB, 0), 20)


async def test_memory_is_bounded_and_the_next_film_has_all_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    film = np.zeros((3000, 3000), np.uint16)
    film[::7] = 1000
    encoders = {**LOSSY, **EXACT}
    files = [
        dicom_file(film, syntax=DeflatedExplicitVRLittleEndian),
        png(film),
        *(
            encoded_file(film, syntax, encoders[syntax], BitsStored=12, HighBit=11)
            for syntax in (JPEGLosslessSV1, JPEG2000Lossless, HTJ2K, JPEGXLLossless)
        ),
    ]
    monkeypatch.setattr(DecoderPool, "memory_bytes", 20 * 2**20)
    async with decoders(max_pixels=10_000_000) as pool:
        for data in files:
            with pytest.raises(DecoderMemoryError) as raised:
                await pool.decode(data, 0)
            assert status_of(raised.value) == 413
            assert (await asyncio.wait_for(pool.decode(GOOD, 0), 20)).info.kind == "png"


@pytest.mark.parametrize("kept", [FRAGMENTS, LEAK])
async def test_what_a_file_leaves_behind_is_given_back(pool: DecoderPool, kept: bytes) -> None:
    """Little pieces that others lie between, and memory that a library has lost."""
    (pid,) = workers_of()
    before = private_bytes(pid)
    with pytest.raises(MalformedError):
        await pool.decode(kept, 0)
    assert (await asyncio.wait_for(pool.decode(GOOD, 0), 20)).info.kind == "png"
    (pid,) = workers_of()
    assert private_bytes(pid) < before + 2**27


async def test_all_decoders_are_loaded_before_the_first_file(pool: DecoderPool) -> None:
    (pid,) = workers_of()
    mapped = Path(f"/proc/{pid}/maps").read_text()
    for name in ("_jpeg8", "libcharls", "libopenjp2", "libjxl", "_imcd", "libtiff", "libdeflate"):
        assert name in mapped
    for data in FILES.values():
        await pool.decode(data, 0)
    assert Path(f"/proc/{pid}/maps").read_text().count(".so") == mapped.count(".so")


async def test_every_file_gets_its_own_answer_while_processes_die() -> None:
    greys = range(0, 240, 4)
    async with decoders(2) as pool:
        tasks = [asyncio.create_task(pool.decode(png(flat(grey)), 0)) for grey in greys]
        victims = []
        for done in (10, 30):
            while sum(task.done() for task in tasks) < done:
                await asyncio.sleep(0)
            victims.append(workers_of()[0])
            os.kill(victims[-1], signal.SIGKILL)
        results = await asyncio.wait_for(asyncio.gather(*tasks), 30)
        for grey, result in zip(greys, results, strict=True):
            np.testing.assert_allclose(result.canvas, grey / 255, atol=1e-6)
        await replaced(victims)
