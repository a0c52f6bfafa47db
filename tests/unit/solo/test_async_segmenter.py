"""AsyncSegmenter: deadlines, events, a sandbox that is lost, and what stopping means."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from solo import (
    AsyncSegmenter,
    Result,
    Sandbox,
    Segmenter,
)
from solo.batching.priority_queue import Lane
from solo.decoding.stored_pixels import PixelsWanted
from solo.errors import (
    DeadlineError,
    DrainingError,
    MalformedError,
    UnavailableError,
)
from solo.sandbox.decoder import DecodedRadiograph, StillDecodingError
from solo.sandbox.pool import DecoderPool
from solo.sandbox.process import ProcessEndedError
from tests.support.batching import Gate, Told, until
from tests.support.decoders import DecoderHere
from tests.support.engines import FakeEngine
from tests.support.films import flat, png

EXAMPLES = Path(__file__).parents[3] / "examples"
FILM, HEAVY = png(flat(200)), png(flat(100))


def test_the_sandbox_decodes_elsewhere_and_a_stopped_one_answers() -> None:
    with Segmenter(FakeEngine(), Sandbox(workers=1), cores=1) as segmenter:
        assert isinstance(next(segmenter.map([FILM])), Result)
        with pytest.raises(MalformedError):
            segmenter.segment(b"junk")


async def _waiting_on_a_lost_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    async with AsyncSegmenter(FakeEngine(), Sandbox(workers=1), events=told) as segmenter:

        async def broken(_: DecoderPool) -> None:
            raise ProcessEndedError(1)

        monkeypatch.setattr(DecoderPool, "_open", broken)
        monkeypatch.setattr("solo.sandbox.pool._PAUSE_SECONDS", 0)
        pool = segmenter._decoder
        assert isinstance(pool, DecoderPool)
        for process in pool._processes:
            process.kill()
        asked = [asyncio.create_task(segmenter.segment(FILM)) for _ in range(3)]
        async with asyncio.timeout(20):
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(outcome, UnavailableError) for outcome in outcomes)
        assert told.fatal == "decoders cannot be started: ProcessEndedError"


def test_a_sandbox_that_cannot_go_on_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asyncio.run(_waiting_on_a_lost_pool(monkeypatch))


async def _deadline() -> None:
    gate = Gate()
    async with AsyncSegmenter(FakeEngine(gate), cores=1) as segmenter:
        loop = asyncio.get_running_loop()
        first = asyncio.create_task(segmenter.segment(FILM))
        await gate.reached()
        with pytest.raises(DeadlineError):
            await segmenter.segment(FILM, deadline=loop.time() + 0.05)
        waiting = asyncio.create_task(segmenter.segment(FILM))
        await asyncio.sleep(0.05)
        gate.opened.set()
        assert isinstance(await first, Result)
        assert isinstance(await waiting, Result)
        segmenter.abandon()


def test_a_deadline_is_kept_and_frees_its_place() -> None:
    asyncio.run(_deadline())


async def _stopped() -> None:
    gate = Gate()
    segmenter = AsyncSegmenter(FakeEngine(gate), cores=1)
    await segmenter.start()
    asked = asyncio.create_task(segmenter.segment(FILM))
    await gate.reached()
    await segmenter.stop()
    gate.opened.set()
    with pytest.raises(DrainingError):
        await asked


def test_stopping_answers_those_who_wait() -> None:
    asyncio.run(_stopped())


async def _stopped_while_decoding(sandbox: Sandbox | None) -> None:
    segmenter = AsyncSegmenter(FakeEngine(), sandbox, cores=1)
    await segmenter.start()
    asked = [asyncio.create_task(segmenter.segment(EXAMPLES / "chest.dcm")) for _ in range(12)]
    left = asyncio.create_task(segmenter.segment(FILM))
    await asyncio.sleep(0.01)
    left.cancel()
    await segmenter.stop()
    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(outcome, Result | DrainingError) for outcome in outcomes)
    assert isinstance(outcomes[-1], DrainingError)
    with pytest.raises(asyncio.CancelledError):
        await left
    for source in (FILM, EXAMPLES / "chest.dcm", np.zeros((4, 4), np.uint8)):
        with pytest.raises(DrainingError):
            await segmenter.segment(source)


@pytest.mark.parametrize("sandbox", [None, Sandbox(workers=1)])
def test_stopping_cancels_nobody_who_did_not_ask_for_it(sandbox: Sandbox | None) -> None:
    asyncio.run(_stopped_while_decoding(sandbox))


async def _events() -> Told:
    told = Told()
    async with AsyncSegmenter(FakeEngine(), events=told) as segmenter:
        await asyncio.gather(*(segmenter.segment(FILM) for _ in range(4)))
    return told


def test_events_tell_of_batches_and_results() -> None:
    told = asyncio.run(_events())
    assert sum(told.batches) == 4
    assert [result.model.name for result in told.results] == ["tiny"] * 4


def test_a_segmenter_serves_the_event_loop_that_started_it_alone() -> None:
    segmenter = AsyncSegmenter(FakeEngine(), cores=1)

    async def unstarted() -> None:
        with pytest.raises(RuntimeError, match="the event loop that started it"):
            await segmenter.segment(FILM)

    async def elsewhere() -> None:
        await unstarted()
        with pytest.raises(RuntimeError, match="was started before"):
            await segmenter.start()

    async def here() -> None:
        await segmenter.start()
        assert isinstance(await segmenter.segment(FILM), Result)
        await asyncio.to_thread(asyncio.run, elsewhere())
        await segmenter.stop()

    asyncio.run(unstarted())
    asyncio.run(here())


class Stubborn(DecoderHere):
    """Goes on with a heavy file whoever has left, as a process does; tells the order of files."""

    width = 1

    def __init__(self) -> None:
        self.begun: list[bytes] = []
        self.opened = asyncio.Event()

    async def decode(
        self,
        data: bytes | Sequence[bytes],
        frame: int,
        wants_pixels: PixelsWanted = "none",
        *,
        wants_header: bool = False,
    ) -> DecodedRadiograph:
        whole = b"".join([data] if isinstance(data, bytes) else data)
        self.begun.append(whole)
        decoded = await super().decode(whole, frame, wants_pixels, wants_header=wants_header)
        if whole == HEAVY:
            work = asyncio.create_task(self._finish(decoded))
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                raise StillDecodingError(work) from None
        return decoded

    async def _finish(self, decoded: DecodedRadiograph) -> DecodedRadiograph:
        await self.opened.wait()
        return decoded


async def _left_behind(lane: Lane) -> list[bytes]:
    decoder = Stubborn()
    async with AsyncSegmenter(FakeEngine(), cores=1, decoder=decoder) as segmenter:

        def ask(film: bytes, client: str) -> asyncio.Task[Result]:
            work = segmenter.segment(film, client=client, lane=lane)
            return asyncio.create_task(work)

        async with asyncio.timeout(20):
            left, waiting = ask(HEAVY, "a"), ask(HEAVY, "a")
            await until(lambda: decoder.begun == [HEAVY])
            left.cancel()
            other = ask(FILM, "b")
            with pytest.raises(asyncio.CancelledError):
                await left
            await asyncio.sleep(0.01)
            assert decoder.begun == [HEAVY]
            decoder.opened.set()
            await asyncio.gather(waiting, other)
    assert segmenter.admission.taken == 0
    return decoder.begun


@pytest.mark.parametrize("lane", ["interactive", "bulk"])
def test_who_hangs_up_keeps_the_turn_of_the_decoder_that_goes_on(lane: Lane) -> None:
    assert asyncio.run(_left_behind(lane)) == [HEAVY, FILM, HEAVY]
