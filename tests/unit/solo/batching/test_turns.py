"""Turns at decoders, on a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from solo.batching.priority_queue import Lane, PriorityQueue
from solo.batching.turns import Turns
from tests.support.virtual_time import run_virtually

DECODE_SECONDS = 10.0


async def use(turns: Turns, client: str, seconds: float, lane: Lane = "interactive") -> float:
    """Takes a turn for so long; returns how long it waited for it."""
    loop = asyncio.get_running_loop()
    asked = loop.time()
    await turns.take(lane, client)
    waited = loop.time() - asked
    try:
        await asyncio.sleep(seconds)
    finally:
        turns.give(client)
    return waited


@pytest.mark.parametrize("at_once", [1, 2, 3])
@pytest.mark.parametrize("came_seconds", [0.0, 0.1, 9.9, 15.0])
def test_a_film_waits_for_one_decode_of_another_client(at_once: int, came_seconds: float) -> None:
    async def main() -> None:
        turns = Turns(at_once)
        flood = [asyncio.create_task(use(turns, "a", DECODE_SECONDS)) for _ in range(30)]
        await asyncio.sleep(came_seconds)
        for _ in range(4):
            assert await use(turns, "b", 0.1) <= DECODE_SECONDS + 1e-6
        for task in flood:
            task.cancel()
        await asyncio.gather(*flood, return_exceptions=True)

    run_virtually(main())


def test_many_clients_that_come_back_leave_the_flood_its_share() -> None:
    async def closed_loop(turns: Turns, client: str) -> None:
        while True:
            await use(turns, client, 1.0)

    async def main() -> list[float]:
        turns = Turns(1)
        others = [asyncio.create_task(closed_loop(turns, str(client))) for client in range(3)]
        waits = [await use(turns, "a", 1.0) for _ in range(20)]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        return waits

    assert max(run_virtually(main())) <= 4.0


@pytest.mark.parametrize("at_once", [2, 5])
@pytest.mark.parametrize("came_seconds", [0.0, 0.1])
def test_who_comes_back_finds_a_turn_free(at_once: int, came_seconds: float) -> None:
    async def main() -> list[float]:
        turns = Turns(at_once)
        flood = [asyncio.create_task(use(turns, "a", DECODE_SECONDS)) for _ in range(150)]
        await asyncio.sleep(came_seconds)
        await use(turns, "b", 0.1)
        waits = []
        for _ in range(100):
            await asyncio.sleep(0.5)
            waits.append(await use(turns, "b", 0.1))
        for task in flood:
            task.cancel()
        await asyncio.gather(*flood, return_exceptions=True)
        return waits

    assert max(run_virtually(main())) == 0.0


def test_who_is_alone_again_has_all_turns() -> None:
    async def main() -> float:
        turns = Turns(2)
        await use(turns, "b", 0.1)
        await asyncio.sleep(3)
        began = asyncio.get_running_loop().time()
        await asyncio.gather(*(use(turns, "a", 1.0) for _ in range(10)))
        return asyncio.get_running_loop().time() - began

    assert run_virtually(main()) == pytest.approx(5)


def test_who_leaves_takes_no_turn_along() -> None:
    async def main() -> None:
        turns = Turns(1)
        await turns.take("interactive", "a")
        waiting = [asyncio.create_task(use(turns, "b", 0.0)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        turns.give("a")  # which calls the second ...
        waiting[1].cancel()  # ... at the moment at which it leaves
        assert await waiting[2] == 0.0
        assert await use(turns, "a", 0.0) == 0.0

    run_virtually(main())


@pytest.mark.parametrize("blocked", [False, True])
def test_clients_that_are_gone_are_forgotten(blocked: bool) -> None:
    may = {"a": not blocked}
    queue: PriorityQueue[int] = PriorityQueue()
    if blocked:
        queue.append(0, "interactive", "a")
    for number in range(5_000):
        queue.append(number, "interactive", f"client {number}")
        assert queue.pop(lambda client: may.get(client, True)) == number
    lane = queue._interactive
    assert len(lane._now) + len(lane._next) < 1_000
    assert len(queue) == blocked


def test_interactive_goes_first() -> None:
    async def main() -> None:
        turns, order = Turns(1), []
        await turns.take("interactive", "a")

        async def one(lane: Lane) -> None:
            await use(turns, "a", 1.0, lane)
            order.append(lane)

        lanes: list[Lane] = ["bulk", "interactive"]
        works: list[Coroutine[Any, Any, None]] = [one(lane) for lane in lanes]
        tasks = [asyncio.create_task(work) for work in works]
        await asyncio.sleep(0)
        turns.give("a")
        await asyncio.gather(*tasks)
        assert order == ["interactive", "bulk"]

    run_virtually(main())


def test_closing_leaves_nobody_waiting() -> None:
    async def main() -> None:
        turns = Turns(1)
        await turns.take("interactive", "a")
        waiting = [asyncio.create_task(use(turns, client, 0.0)) for client in "ab"]
        await asyncio.sleep(0)
        turns.close()
        for task in waiting:
            with pytest.raises(asyncio.CancelledError):
                await task

    run_virtually(main())
