from __future__ import annotations

from collections import Counter
from contextlib import ExitStack

import pytest

from solo.batching.admission import Admission
from solo.batching.priority_queue import Lane, PriorityQueue
from solo.errors import QueueFullError, TooBusyError
from solo.inference.cost_model import CostModel

TIMES = CostModel({1: 1.0, 4: 2.0})


def admission(limit: int) -> Admission:
    return Admission(limit, lambda: TIMES)


def test_retry_after_is_how_long_the_queue_takes_to_drain() -> None:
    queue = admission(9)
    with ExitStack() as places:
        for _ in range(9):
            places.enter_context(queue.place("interactive", 60))
        with pytest.raises(QueueFullError, match="9 images are waiting, and at most 9") as refused:
            queue.check("interactive", 60)
    assert refused.value.retry_after_seconds == 5  # two runs of four, one of one
    queue.check("interactive", 60)


def test_bulk_leaves_half_of_the_places_to_others() -> None:
    queue = admission(4)
    with queue.place("bulk", 60), queue.place("bulk", 60):
        with pytest.raises(QueueFullError, match="2 bulk images are waiting, and at most 2"):
            queue.check("bulk", 60)
        with (
            queue.place("interactive", 60),
            queue.place("interactive", 60),
            pytest.raises(QueueFullError, match="4 images"),
        ):
            queue.check("interactive", 60)


def test_a_deadline_that_cannot_be_met_is_refused_at_once() -> None:
    queue = admission(100)
    queue.check("interactive", 1.0)
    with pytest.raises(TooBusyError, match=r"about 1 s with 0 images ahead, but 0\.5 s are left"):
        queue.check("interactive", 0.5)
    with ExitStack() as places:
        for _ in range(12):
            places.enter_context(queue.place("interactive", 60))
        with pytest.raises(TooBusyError) as refused:
            queue.check("interactive", 3.5)
        assert refused.value.retry_after_seconds == 4  # 7 s, less the 3.5 s that it has
        queue.check("interactive", 7.0)


def test_an_archive_does_not_lengthen_the_wait_of_a_person() -> None:
    queue = admission(100)
    with ExitStack() as places:
        for _ in range(40):
            places.enter_context(queue.place("bulk", 60))
        queue.check("interactive", 1.0)
        with pytest.raises(TooBusyError, match="40 images ahead"):
            queue.check("bulk", 20.0)


def test_a_place_is_free_again_once() -> None:
    queue = admission(1)
    with queue.place("interactive", 60) as place:
        place.release()
        assert queue.taken == 0
    assert queue.taken == 0


def drained(interactive: int, bulk: int) -> list[Lane]:
    lanes: PriorityQueue[Lane] = PriorityQueue()
    for _ in range(bulk):
        lanes.append("bulk", "bulk")
    for _ in range(interactive):
        lanes.append("interactive", "interactive")
    order = []
    while lanes:
        order.append(lanes.peek())
        assert lanes.pop() == order[-1]
    return order


def test_interactive_goes_first_and_bulk_moves_on() -> None:
    order = drained(interactive=70, bulk=100)
    assert len(order) == 170
    assert order[:8] == ["interactive"] * 7 + ["bulk"]
    assert Counter(order[:80]) == {"interactive": 70, "bulk": 10}
    assert set(order[80:]) == {"bulk"}


def test_a_lane_by_itself_is_first_come_first_served() -> None:
    lanes: PriorityQueue[int] = PriorityQueue()
    for number in range(20):
        lanes.append(number, "bulk")
    assert list(lanes) == list(range(20))
    assert [lanes.pop() for _ in range(20)] == list(range(20))
    with pytest.raises(IndexError):
        lanes.pop()
