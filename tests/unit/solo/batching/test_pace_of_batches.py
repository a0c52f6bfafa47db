"""The batcher on a simulated accelerator in virtual time: what it forms, not how fast we are."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from solo.batching.batch_window import BatchWindow
from solo.batching.batcher import Batcher
from solo.events import Release
from solo.inference.model_runner import ModelRunner
from tests.support.batching import Told
from tests.support.engines import CANVAS, FakeEngine
from tests.support.virtual_time import VirtualLoop, VirtualThreads, run_virtually

MAX_BATCH = 8
FULL_RUN_SECONDS = FakeEngine.run_seconds(MAX_BATCH)
REQUEST_SECONDS = 0.0004  # of the event loop, for each request
ROUNDS = 40


class Traffic:
    """Clients that ask again as soon as they are answered; the loop has time for one at once.

    Args:
        answer_seconds: of the event loop, for each answer.
    """

    def __init__(self, answer_seconds: float = 0.0) -> None:
        self._answer_seconds = answer_seconds
        self.engine = FakeEngine(max_batch=MAX_BATCH)
        self.told = Told()
        self.latencies: list[float] = []
        self._loop_is_free = 0.0

    async def run(self, clients: int, pause_seconds: float = 0.0) -> float:
        """Requests a second."""
        batcher = Batcher(
            ModelRunner(self.engine, self.engine.clock),
            1000,
            self.told,
            threads=VirtualThreads(self.engine),
            clock=self.engine.clock,
            self_test_seconds=1e6,
        )
        await batcher.start()
        loop = asyncio.get_running_loop()
        started = loop.time()
        await asyncio.gather(*(self._client(batcher, pause_seconds) for _ in range(clients)))
        seconds = loop.time() - started
        await batcher.stop()
        return clients * ROUNDS / seconds

    async def _client(self, batcher: Batcher, pause_seconds: float) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(ROUNDS):
            await asyncio.sleep(pause_seconds)
            asked = loop.time()
            self._loop_is_free = max(asked, self._loop_is_free) + REQUEST_SECONDS
            await asyncio.sleep(self._loop_is_free - asked)
            with batcher.admission.place("interactive", 60) as place:
                canvas = np.zeros(CANVAS, np.float32)
                await batcher.submit(canvas, place, batcher.model)
            assert isinstance(loop, VirtualLoop)
            loop.work(self._answer_seconds)
            self.latencies.append(loop.time() - asked)

    def released(self, reason: Release) -> int:
        return self.told.releases[reason]


@pytest.mark.parametrize(("clients", "share"), [(8, 0.85), (12, 0.85), (16, 0.95), (32, 0.95)])
def test_batches_are_full_where_there_are_enough_clients(clients: int, share: float) -> None:
    traffic = Traffic()
    ideal = MAX_BATCH / FULL_RUN_SECONDS
    assert run_virtually(traffic.run(clients)) >= share * ideal
    full = traffic.engine.batches.count(MAX_BATCH)
    assert full >= 0.9 * len(traffic.engine.batches)
    settled = sorted(traffic.latencies[2 * clients :])  # the first to come ran alone
    p99 = settled[int(0.99 * len(settled))]
    # With 12, eight run and four wait: two batches.
    assert p99 <= 1.3 * -(-clients // MAX_BATCH) * FULL_RUN_SECONDS


def test_the_wait_begins_when_the_answers_are_out() -> None:
    traffic = Traffic(answer_seconds=0.0008)  # eight take longer than the wait
    run_virtually(traffic.run(8))
    assert traffic.engine.batches.count(MAX_BATCH) >= 0.9 * len(traffic.engine.batches)


def test_without_the_wait_eight_clients_run_as_one_and_seven(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(BatchWindow, "begin", lambda *_: None)
    traffic = Traffic()
    throughput = run_virtually(traffic.run(8))
    assert throughput < 0.75 * MAX_BATCH / FULL_RUN_SECONDS
    assert {1, 7} <= set(traffic.engine.batches[4:])


def test_a_client_by_itself_never_waits() -> None:
    traffic = Traffic()
    run_virtually(traffic.run(1))
    assert traffic.engine.batches == [1] * ROUNDS
    assert traffic.released("wait") == 0
    alone = REQUEST_SECONDS + FakeEngine.run_seconds(1)
    assert traffic.latencies == pytest.approx([alone] * ROUNDS)


def test_two_clients_run_together() -> None:
    traffic = Traffic()
    run_virtually(traffic.run(2))
    assert traffic.engine.batches.count(2) >= ROUNDS - 2


def test_who_pauses_is_soon_not_waited_for() -> None:
    traffic = Traffic()
    run_virtually(traffic.run(2, pause_seconds=0.2))
    assert traffic.released("wait") <= 8
