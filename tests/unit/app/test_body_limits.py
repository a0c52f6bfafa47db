"""Bodies that come slowly, and many at once, on a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from contextlib import ExitStack
from typing import Any

import pytest
from starlette.types import Message, Receive

from app.errors import BodiesFullError, BodyTooLargeError, ClientGoneError
from app.http.body_limits import LEAST_BYTES_PER_SECOND, BodyLimits, IncomingBody
from tests.support.virtual_time import run_virtually

SECONDS = 10.0
LEAST = int(LEAST_BYTES_PER_SECOND * SECONDS)


def sender(pieces: Iterable[tuple[float, int]], *, leaves: bool = False) -> Receive:
    """Sends so many bytes after so many seconds each; then ends, or leaves."""
    rest = iter(pieces)

    async def receive() -> Message:
        for pause, size in rest:
            await asyncio.sleep(pause)
            return {"type": "http.request", "body": bytes(size), "more_body": True}
        if leaves:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": b"", "more_body": False}

    return receive


async def taken(body: IncomingBody, receive: Receive) -> int:
    async with body.pace:
        return sum([len(chunk) async for chunk in body.chunks(receive)])


def ended(main: Callable[[BodyLimits], Coroutine[Any, Any, int]], limit: int = 100 * LEAST) -> int:
    async def run() -> int:
        limits = BodyLimits(limit, limit, SECONDS)
        try:
            return await main(limits)
        finally:
            assert limits.held_bytes == 0

    return run_virtually(run())


def one(receive: Receive) -> Callable[[BodyLimits], Coroutine[Any, Any, int]]:
    async def main(limits: BodyLimits) -> int:
        with limits.incoming() as body:
            return await taken(body, receive)

    return main


def test_a_body_may_take_long_if_it_goes_on() -> None:
    assert ended(one(sender([(9, LEAST)] * 50))) == 50 * LEAST


def test_a_small_body_may_use_all_of_its_time() -> None:
    assert ended(one(sender([(9.9, 1)]))) == 1


@pytest.mark.parametrize(
    "pieces",
    [
        [(11, LEAST)],
        [(0.1, 1)] * 200,  # never silent, and never done
        [(0, 40 * LEAST), (11, LEAST)],  # what came early buys no silence
        [(9, LEAST), (9, LEAST - 1), (9, LEAST)],
    ],
)
def test_a_silent_or_trickling_body_is_cut_off(pieces: list[tuple[float, int]]) -> None:
    with pytest.raises(TimeoutError):
        ended(one(sender(pieces)))


def test_a_client_that_leaves_frees_its_bytes() -> None:
    with pytest.raises(ClientGoneError):
        ended(one(sender([(0, 5)], leaves=True)))


def test_one_body_has_its_limit() -> None:
    assert ended(one(sender([(0, 60), (0, 40)])), limit=100) == 100
    with pytest.raises(BodyTooLargeError, match="more than the 100"):
        ended(one(sender([(0, 60), (0, 41)])), limit=100)


def test_all_bodies_have_a_limit_until_they_are_answered() -> None:
    async def main() -> None:
        limits = BodyLimits(100, 150, SECONDS)
        with limits.incoming("a") as first:
            assert await taken(first, sender([(0, 100)])) == 100
            with limits.incoming("b") as second:
                second.check_content_length("50")
                with pytest.raises(BodiesFullError, match="100 bytes of requests are in memory"):
                    second.check_content_length("51")
                with pytest.raises(BodiesFullError, match="at most 150 may be"):
                    await taken(second, sender([(0, 50), (0, 1)]))
                assert limits.held_bytes == 150
            assert limits.held_bytes == 100
        with limits.incoming() as third:
            assert await taken(third, sender([(0, 100)])) == 100

    run_virtually(main())


def test_a_client_leaves_half_of_the_memory_to_others() -> None:
    async def main() -> None:
        limits = BodyLimits(60, 200, SECONDS)
        with ExitStack() as bodies:
            for _ in range(2):
                body = bodies.enter_context(limits.incoming("greedy"))
                assert await taken(body, sender([(0, 45)])) == 45
            third = bodies.enter_context(limits.incoming("greedy"))
            third.check_content_length("10")
            refusal = "90 bytes of this client's requests are in memory, and at most 100 may be"
            with pytest.raises(BodiesFullError, match=refusal):
                third.check_content_length("11")
            with pytest.raises(BodiesFullError, match="100 bytes of this client's"):
                await taken(third, sender([(0, 10), (0, 1)]))
            other = bodies.enter_context(limits.incoming("other"))
            assert await taken(other, sender([(0, 60)])) == 60
        with limits.incoming("greedy") as body:
            assert await taken(body, sender([(0, 60)])) == 60
        assert limits.held_bytes == 0

    run_virtually(main())


def test_one_body_of_a_client_may_always_come() -> None:
    async def main() -> None:
        limits = BodyLimits(100, 150, SECONDS)
        with limits.incoming("a") as body:
            assert await taken(body, sender([(0, 100)])) == 100

    run_virtually(main())


def test_an_announcement_takes_nobody_s_place() -> None:
    async def main() -> None:
        limits = BodyLimits(100, 100, SECONDS)
        with limits.incoming() as liar, limits.incoming() as honest:
            liar.check_content_length("100")
            assert await taken(honest, sender([(0, 100)])) == 100

    run_virtually(main())


def test_answers_on_their_way_count_as_their_client_s() -> None:
    limits = BodyLimits(0, 200, SECONDS, "answers")
    with limits.outgoing("slow", 70), limits.outgoing("other", 90):
        with pytest.raises(BodiesFullError, match="70 bytes of this client's answers"):
            limits.outgoing("slow", 31).__enter__()
        with pytest.raises(BodiesFullError, match="160 bytes of answers"):
            limits.outgoing("third", 41).__enter__()
        with limits.outgoing("slow", 30):
            assert limits.held_bytes == 190
    assert limits.held_bytes == 0
    with limits.outgoing("slow", 1000):  # one is sent whatever its length
        assert limits.held_bytes == 1000
    assert limits.held_bytes == 0
