from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solo.batching.batch_window import MAX_WAIT_SECONDS, STEP_SECONDS, AdaptiveTimeout
from solo.inference.cost_model import CostModel

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


def test_nobody_is_waited_for_where_that_saves_nothing() -> None:
    assert AdaptiveTimeout().begin(1, 1, CostModel(CPU)) == 0
    assert AdaptiveTimeout().begin(1, 0, CostModel(GPU)) == 0
    assert AdaptiveTimeout().begin(8, 8, CostModel(GPU)) == 0
    assert AdaptiveTimeout().begin(7, 1, CostModel(GPU)) == MAX_WAIT_SECONDS
    assert AdaptiveTimeout().begin(1, 1, CostModel({1: 0.003, 2: 0.004})) == pytest.approx(0.001)


def test_those_who_come_together_are_waited_for_while_they_come() -> None:
    timeout, times = AdaptiveTimeout(), CostModel(GPU)
    seconds = timeout.begin(8, 0, times)
    assert timeout.extend(3) == STEP_SECONDS  # three came: others are near
    assert timeout.extend(4) == STEP_SECONDS
    assert not timeout.satisfied(4)
    assert timeout.extend(4) == 0  # a step brought nobody
    assert timeout.satisfied(4)
    timeout.end(4)
    assert timeout.begin(8, 0, times) == seconds
    steps = [timeout.extend(waiting) for waiting in range(1, 8)]
    assert sum(steps) == pytest.approx(seconds)  # as long again, and no longer
    assert steps[-1] == 0


def test_nobody_is_waited_for_where_nobody_came() -> None:
    timeout = AdaptiveTimeout()
    timeout.begin(8, 2, CostModel(GPU))
    assert timeout.extend(2) == 0
    assert timeout.satisfied(2)


def test_a_window_in_vain_makes_windows_rarer_and_a_full_one_makes_them_common() -> None:
    timeout, times = AdaptiveTimeout(), CostModel(GPU)

    def turns_until_wait() -> int:
        turns = 1
        while not timeout.begin(1, 1, times):
            turns += 1
        return turns

    gaps = []
    for _ in range(8):
        gaps.append(turns_until_wait())
        timeout.end(waiting=1)
    assert gaps == [1, 2, 4, 8, 16, 32, 64, 64]
    turns_until_wait()
    assert not timeout.satisfied(1)
    assert timeout.satisfied(2)
    timeout.end(waiting=2)
    assert turns_until_wait() == 1
