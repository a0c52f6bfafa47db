from __future__ import annotations

import asyncio
import threading

import numpy as np
import numpy.typing as npt
import pytest

from solo.batching.batch import Outcome
from solo.errors import DrainingError, ModelFailedError, QueueFullError, SoloError
from tests.support.batching import Gate, running
from tests.support.engines import FakeEngine, expected_scores

pytestmark = pytest.mark.anyio

POISON = 0.75


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def fail_on_poison(images: npt.NDArray[np.float32]) -> None:
    if (images == POISON).any():
        raise RuntimeError("planted failure")


async def test_every_answer_belongs_to_its_image() -> None:
    greys = [index / 50 for index in range(50)]
    async with running(FakeEngine()) as rig:
        outcomes = await asyncio.gather(*rig.submit(*greys))
    for grey, outcome in zip(greys, outcomes, strict=True):
        assert outcome.instances.scores.tolist() == pytest.approx(expected_scores(grey))
    assert max(rig.engine.batches) > 1
    assert sum(rig.engine.batches) == 50


async def test_what_comes_while_the_model_is_busy_goes_together() -> None:
    gate = Gate()
    async with running(FakeEngine(gate, max_batch=4)) as rig:
        first = rig.submit(0.1)
        await gate.reached()
        rest = rig.submit(*[0.2] * 6)
        await asyncio.sleep(0)
        gate.opened.set()
        await asyncio.gather(*first, *rest)
    assert rig.engine.batches == [1, 4, 2]
    assert rig.told.releases == {"full": 1, "idle": 1, "wait": 1}
    assert rig.told.batches == [1, 4, 2]
    assert rig.batcher.admission.taken == 0


async def test_only_the_culprit_of_a_failed_batch_fails() -> None:
    gate = Gate()

    def before(images: npt.NDArray[np.float32]) -> None:
        gate(images)
        fail_on_poison(images)

    async with running(FakeEngine(before)) as rig:
        first = rig.submit(0.1)
        await gate.reached()
        tasks = rig.submit(0.2, POISON, 0.4, 0.5)
        await asyncio.sleep(0)
        gate.opened.set()
        results = await asyncio.gather(*first, *tasks, return_exceptions=True)
    assert isinstance(results[2], ModelFailedError)
    assert "planted" not in results[2].detail
    for grey, result in zip((0.1, 0.2, 0.4, 0.5), results[:2] + results[3:], strict=True):
        assert isinstance(result, Outcome)
        assert result.instances.scores.tolist() == pytest.approx(expected_scores(grey))
    assert rig.ready


async def test_a_poisonous_image_alone_leaves_the_service_ready() -> None:
    async with running(FakeEngine(fail_on_poison)) as rig:
        with pytest.raises(ModelFailedError):
            await rig.ask(POISON)
        assert (await rig.ask(0.5)).instances.scores.size == 2
        assert rig.ready


async def test_a_full_queue_refuses_and_recovers() -> None:
    gate = Gate()
    async with running(FakeEngine(gate, max_batch=4), queue_limit=2) as rig:
        first = rig.submit(0.1)
        await gate.reached()
        waiting = rig.submit(0.2, 0.3)
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError, match="2 images are waiting, and at most 2"):
            await rig.ask(0.4)
        assert rig.batcher.admission.taken == 2
        gate.opened.set()
        await asyncio.gather(*first, *waiting)
        assert (await rig.ask(0.4)).queue_seconds >= 0


async def test_the_withdrawn_take_no_place_in_a_batch() -> None:
    gate = Gate()
    async with running(FakeEngine(gate, max_batch=4)) as rig:
        first = rig.submit(0.1)
        await gate.reached()
        withdrawn, kept = rig.submit(0.2, 0.3)
        await asyncio.sleep(0)
        withdrawn.cancel()
        await asyncio.sleep(0)
        gate.opened.set()
        await asyncio.gather(*first, kept)
    assert rig.engine.batches == [1, 1]
    assert withdrawn.cancelled()
    assert rig.batcher.admission.taken == 0


async def test_stopping_answers_everybody() -> None:
    gate = Gate()
    async with running(FakeEngine(gate, max_batch=1)) as rig:
        tasks = rig.submit(0.1, 0.2)
        await gate.reached()
        await rig.batcher.stop()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        gate.opened.set()
    assert [type(result) for result in results] == [DrainingError, DrainingError]


async def test_a_bug_in_the_batcher_ends_the_process_and_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running(FakeEngine()) as rig:

        def broken(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(rig.told, "on_batch", broken)
        with pytest.raises(SoloError):
            await rig.ask(0.5)
        assert rig.told.fatal == "the batcher ended with ZeroDivisionError"


async def test_as_many_batches_run_at_once_as_the_engine_likes() -> None:
    entered, opened = threading.Semaphore(0), threading.Event()

    def hold(_: npt.NDArray[np.float32]) -> None:
        entered.release()
        assert opened.wait(10)

    engine = FakeEngine(hold, max_batch=4)
    engine.runs_at_once = 2
    async with running(engine) as rig:
        answers = rig.submit(0.1, 0.2, 0.3)
        for _ in range(2):
            assert await asyncio.to_thread(entered.acquire, timeout=10)
        assert not entered.acquire(blocking=False)  # the third one waits
        opened.set()
        await asyncio.wait_for(asyncio.gather(*answers), 10)
        assert engine.batches == [1, 1, 1]
