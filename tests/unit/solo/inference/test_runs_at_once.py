"""On a processor several runs share the cores."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest

from solo.inference.fair_semaphore import FairSemaphore
from solo.inference.model_file import ModelFile
from solo.inference.model_runner import ModelRunner
from solo.inference.onnx_engine import OnnxEngine
from tests.support.bundled import MODEL, chest_canvases
from tests.support.engines import CANVAS, FakeEngine

Images = npt.NDArray[np.float32]
IMAGE = np.zeros(CANVAS, np.float32)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_runs_are_limited_and_all_of_them_exclude_everybody(threads: ThreadPoolExecutor) -> None:
    semaphore, most, now = FairSemaphore(3), [0], [0]
    lock, whole = threading.Lock(), [0]

    def take(_: int) -> None:
        with semaphore.one():
            with lock:
                now[0] += 1
                most[0] = max(most[0], now[0])
                assert not whole[0]
            threading.Event().wait(0.001)
            with lock:
                now[0] -= 1

    def take_all(_: int) -> None:
        with semaphore.all(), lock:
            assert now[0] == 0
            whole[0] += 1
            whole[0] -= 1

    jobs = [threads.submit(take_all if i % 10 == 0 else take, i) for i in range(200)]
    for job in jobs:
        job.result(30)
    assert 1 < most[0] <= 3


def test_who_waits_is_not_overtaken(threads: ThreadPoolExecutor) -> None:
    semaphore, order = FairSemaphore(1), []

    def take(number: int) -> None:
        with semaphore.one():
            order.append(number)

    with semaphore.one():
        jobs = []
        for number in range(5):
            jobs.append(threads.submit(take, number))
            while len(semaphore._waiting) <= number:
                time.sleep(0.001)
    with semaphore.one():  # comes while those five have been called and may not have begun
        assert order == [0, 1, 2, 3, 4]
    for job in jobs:
        job.result(10)


def test_a_run_is_alone_only_if_nobody_else_had_one_meanwhile() -> None:
    semaphore = FairSemaphore(2)
    with semaphore.one() as first:
        assert first()
        with semaphore.one() as second:
            assert not second()
        assert not first()
    with semaphore.one() as third:
        assert third()


def test_a_run_tells_whether_it_was_alone(threads: ThreadPoolExecutor) -> None:
    entered, opened = threading.Semaphore(0), threading.Event()

    def hold(_: Images) -> None:
        entered.release()
        assert opened.wait(10)

    engine = FakeEngine(hold)
    engine.runs_at_once = 2
    model = ModelRunner(engine, engine.clock)
    model.warm_up()
    both = [threads.submit(model.run, [IMAGE]) for _ in range(2)]
    assert all(entered.acquire(timeout=10) for _ in both)
    opened.set()
    assert not any(run.result(10).alone for run in both)
    assert model.run([IMAGE]).alone


def test_a_film_gets_the_same_answer_alone_and_beside_others(threads: ThreadPoolExecutor) -> None:
    engine = OnnxEngine(ModelFile.read(MODEL), "cpu", 1, cores=2)
    image = chest_canvases()["example"]
    alone = engine.run(image)
    for together in threads.map(lambda _: engine.run(image), range(8)):
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one.instances.scores, other.instances.scores)
            np.testing.assert_array_equal(one.instances.masks, other.instances.masks)
            assert one.out_of_distribution == other.out_of_distribution
