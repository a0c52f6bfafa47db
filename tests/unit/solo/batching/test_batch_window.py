from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solo.batching.batch_window import MAX_WAIT_SECONDS, STEP_SECONDS, BatchWindow
from solo.inference.cost_model import CostModel
from tests.support.virtual_time import run_virtually

GPU = {1: 0.012, 2: 0.014, 4: 0.018, 8: 0.026}
CPU = {1: 0.015, 2: 0.030, 4: 0.060, 8: 0.120}


@pytest.mark.parametrize(
    ("seconds", "waiting", "taken"),
    [
        (GPU, 1, 1), (GPU, 3, 3), (GPU, 5, 5), (GPU, 8, 8), (GPU, 20, 8),
        (CPU, 1, 1), (CPU, 5, 1), (CPU, 20, 1),
        ({1: 1.0, 4: 1.5}, 2, 2),  # padded to four, and still cheaper than twice one
        ({1: 1.0, 4: 3.5}, 2, 1),  # a run of four for two images is not
        ({1: 1.0, 4: 3.5}, 4, 4),
        ({1: 1.0, 4: 3.5}, 7, 4),
    ],
)  # fmt: skip
def test_as_many_run_together_as_pays(seconds: dict[int, float], waiting: int, taken: int) -> None:
    assert CostModel(seconds).take(waiting) == taken


@given(
    st.dictionaries(st.sampled_from([2, 3, 4, 8]), st.floats(0.001, 10), max_size=4),
    st.floats(0.001, 10),
    st.integers(1, 40),
)
def test_every_image_runs_and_the_forecast_is_what_its_batches_take(
    larger: dict[int, float], alone: float, waiting: int
) -> None:
    seconds = {1: alone, **larger}
    times = CostModel(seconds)
    forecast, total, left = times.drain_seconds(waiting), 0.0, waiting
    while left:
        taken = times.take(left)
        assert 1 <= taken <= left
        total += min(seconds[size] for size in seconds if size >= taken)
        left -= taken
    assert total <= forecast * (1 + 1e-9)


def test_run_times_follow_the_device() -> None:
    times = CostModel(GPU)
    assert times.drain_seconds(17) == pytest.approx(2 * 0.026 + 0.012)
    for _ in range(200):
        times.note(8, 0.2)  # from now on eight at once are no gain
    assert times.best_size == 4
    times.note(3, 0.018)  # padded to four


def test_memory_limits_the_batch_for_a_thousand_runs() -> None:
    times = CostModel(GPU)
    times.shrink(8)
    assert times.take(20) == 4
    times.shrink(1)
    assert times.take(20) == 1
    for size in (1, 2, 4):
        assert times.best_size == size
        for _ in range(1000):
            times.note(size, GPU[size])
    assert times.best_size == 8


def test_a_joint_run_saves_the_fixed_part_of_a_run() -> None:
    assert CostModel(GPU).joining_saves_seconds == pytest.approx(0.010)
    assert CostModel(CPU).joining_saves_seconds == pytest.approx(0)
    assert CostModel({1: 1.0}).joining_saves_seconds == 0


class Queue:
    """A queue behind a batch window, on a virtual clock."""

    def __init__(self, seconds: dict[int, float]) -> None:
        self.waiting = 0
        self.costs = CostModel(seconds)
        self.over = asyncio.Event()
        self.window = BatchWindow(lambda: self.waiting, self.over.set)

    def come(self) -> None:
        self.waiting += 1
        if self.window.is_over:
            self.over.set()

    async def held(self, answered: int, waiting: int, arrivals: Iterable[float] = ()) -> float:
        """Seconds for which the window is open while images come at these seconds."""
        loop = asyncio.get_running_loop()
        began, self.waiting = loop.time(), waiting
        self.over.clear()
        for seconds in arrivals:
            loop.call_at(began + seconds, self.come)
        self.window.begin(answered, self.costs)
        if self.window.is_open:
            await self.over.wait()
        self.window.end()
        return loop.time() - began


@pytest.mark.parametrize(
    ("seconds", "answered", "waiting", "held"),
    [
        (CPU, 1, 1, 0),
        (GPU, 1, 0, 0),
        (GPU, 8, 8, 0),
        (GPU, 7, 1, MAX_WAIT_SECONDS),
        ({1: 0.003, 2: 0.004}, 1, 1, 0.001),
    ],
)
def test_nobody_is_waited_for_where_that_saves_nothing(
    seconds: dict[int, float], answered: int, waiting: int, held: float
) -> None:
    async def hold() -> float:
        return await Queue(seconds).held(answered, waiting)

    assert run_virtually(hold()) == pytest.approx(held)


@pytest.mark.parametrize(
    ("arrivals", "held"),
    [
        ([0.001] * 3, MAX_WAIT_SECONDS + STEP_SECONDS),  # a step more, which brings nobody
        ([0.001] * 3 + [0.0055], MAX_WAIT_SECONDS + 2 * STEP_SECONDS),
        ([0.0005] * 4 + [0.0045 + STEP_SECONDS * each for each in range(4)], 0.0075),  # all eight
        ([0.0045 + STEP_SECONDS * each for each in range(6)], 2 * MAX_WAIT_SECONDS),  # no longer
        ([0.002] * 8, 0.002),
    ],
)
def test_those_who_come_together_are_waited_for_while_they_come(
    arrivals: list[float], held: float
) -> None:
    async def hold() -> float:
        return await Queue(GPU).held(8, 0, arrivals)

    assert run_virtually(hold()) == pytest.approx(held)


def test_a_window_in_vain_makes_windows_rarer_and_a_full_one_makes_them_common() -> None:
    async def gaps() -> list[int]:
        queue, found = Queue(GPU), []
        for comes in [False] * 8 + [True] * 2:
            found.append(1)
            while not await queue.held(1, 1, [0.001] * comes):
                found[-1] += 1
        return found

    assert run_virtually(gaps()) == [1, 2, 4, 8, 16, 32, 64, 64, 64, 1]
