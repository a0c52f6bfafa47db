from __future__ import annotations

from collections import Counter, deque
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solo.batching.admission import Admission, Place
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


def test_one_client_s_full_queue_refuses_nobody_else() -> None:
    queue = admission(8)
    with ExitStack() as places:
        for _ in range(8):
            places.enter_context(queue.place("interactive", 60, "greedy"))
        with pytest.raises(QueueFullError, match="8 images are waiting, and at most 8 may"):
            queue.check("interactive", 60, "greedy")
        for _ in range(4):
            places.enter_context(queue.place("interactive", 60, "other"))
        with pytest.raises(QueueFullError, match="4 images of this client are waiting, and at"):
            queue.check("interactive", 60, "other")
        with pytest.raises(QueueFullError, match="at most 4 while others wait may"):
            queue.check("interactive", 60, "greedy")
        with pytest.raises(QueueFullError, match="12 images are waiting, and at most 12 may"):
            queue.check("interactive", 60, "third")
    assert queue.taken == 0


def test_a_client_s_archive_leaves_places_to_its_own_people_and_to_other_archives() -> None:
    queue = admission(8)
    with ExitStack() as places:
        for _ in range(4):
            places.enter_context(queue.place("bulk", 60, "greedy"))
        places.enter_context(queue.place("interactive", 60, "other"))
        places.enter_context(queue.place("interactive", 60, "greedy"))
        places.enter_context(queue.place("bulk", 60, "other"))
        with pytest.raises(QueueFullError, match="4 bulk images of this client are waiting"):
            queue.check("bulk", 60, "greedy")


def test_what_waits_for_others_lengthens_nobody_s_forecast_but_by_their_turns() -> None:
    queue = admission(100)
    with ExitStack() as places:
        for _ in range(60):
            places.enter_context(queue.place("interactive", 60, "greedy"))
        queue.check("interactive", 2.0, "other")  # one of the greedy client's, and its own
        with pytest.raises(TooBusyError, match="60 images ahead"):
            queue.check("interactive", 2.0, "greedy")


CLIENTS = st.sampled_from("abcdefg")
LANES: st.SearchStrategy[Lane] = st.sampled_from(["interactive", "interactive", "bulk"])


@given(
    limit=st.integers(1, 20),
    steps=st.lists(st.tuples(st.booleans(), CLIENTS, LANES, st.integers(0, 99)), max_size=150),
)
def test_places_are_bounded_and_a_newcomer_is_owed_one(
    limit: int, steps: list[tuple[bool, str, Lane, int]]
) -> None:
    queue = admission(limit)
    held: list[tuple[str, Lane, Place]] = []
    for takes, client, lane, which in steps:
        if not takes and held:
            held.pop(which % len(held))[-1].release()
            continue
        others = Counter((who, where) for who, where, _ in held)
        clients = {who for who, _, _ in held} | {client}
        own = others[client, lane]
        lane_limit = limit if lane == "interactive" else max(1, limit // 2)
        try:
            held.append((client, lane, queue.place(lane, 1e9, client)))
        except QueueFullError:
            if len(clients) == 1:  # alone: all places are its own
                assert len(held) == limit or (own == lane_limit and lane == "bulk")
            elif own == 0 and len(clients) <= limit // 2:
                # Somebody holds more than an equal part, which it took before there were so many.
                assert any(
                    count
                    > max(1, (limit if where == "interactive" else limit // 2) // len(clients))
                    for (_, where), count in others.items()
                )
        else:
            assert len(clients) == 1 or own < max(1, lane_limit // 2)
        assert queue.taken == len(held) <= (3 * limit + 1) // 2
    for *_, place in held:
        place.release()
        place.release()
    assert queue.taken == 0
    for _ in range(limit):
        queue.place("interactive", 1e9, "z")


def test_clients_are_served_in_turn_and_each_in_its_order() -> None:
    lanes: PriorityQueue[str] = PriorityQueue()
    for number in range(5):
        lanes.append(f"a{number}", "interactive", "a")
    for number in range(2):
        lanes.append(f"b{number}", "interactive", "b")
    assert [lanes.pop() for _ in range(2)] == ["a0", "b0"]
    lanes.append("c0", "interactive", "c")  # a newcomer waits for no second image of anybody
    assert sorted(lanes) == ["a1", "a2", "a3", "a4", "b1", "c0"]
    assert [lanes.pop() for _ in range(6)] == ["c0", "a1", "b1", "a2", "a3", "a4"]
    lanes.append("a5", "interactive", "a")
    lanes.append("b2", "interactive", "b")  # which has been served since a was
    assert lanes.pop() == "b2" or lanes.pop() == "b2"


@given(st.lists(st.one_of(st.none(), st.tuples(st.integers(0, 400), LANES)), max_size=600))
def test_nobody_is_passed_over_twice(steps: list[tuple[int, Lane] | None]) -> None:
    """While a client waits, no other one of its lane is served more than twice."""
    lanes: PriorityQueue[tuple[Lane, int, int]] = PriorityQueue()
    waiting: dict[tuple[Lane, int], deque[int]] = {}
    passed: dict[tuple[Lane, int], Counter[int]] = {}
    for number, step in enumerate(steps):
        if step is not None:
            client, lane = step[0] % 7, step[1]
            lanes.append((lane, client, number), lane, str(client))
            waiting.setdefault((lane, client), deque()).append(number)
            passed.setdefault((lane, client), Counter())
        elif lanes:
            lane, client, number_of = lanes.pop()
            assert waiting[lane, client].popleft() == number_of
            del passed[lane, client]
            if waiting[lane, client]:
                passed[lane, client] = Counter()
            else:
                del waiting[lane, client]
            for (where, _), counts in passed.items():
                if where == lane:
                    counts[client] += 1
                    assert counts[client] <= 2
    assert len(lanes) == sum(map(len, waiting.values()))


def test_newcomers_without_end_starve_nobody_and_are_forgotten() -> None:
    lanes: PriorityQueue[int] = PriorityQueue()
    for _ in range(2):
        lanes.append(-1, "interactive", "old")
    lanes.pop()
    for number in range(10_000):
        lanes.append(number, "interactive", str(number))
        if lanes.pop() == -1:
            break
    assert number < 1000
