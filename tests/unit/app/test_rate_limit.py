from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import KeyRateError
from app.keys import new_key
from app.middleware.api_keys import RateLimiter
from tests.support.engines import FakeEngine
from tests.support.in_process import IMAGE, client


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def allowed(rates: RateLimiter, key: str = "a") -> bool:
    try:
        rates.count(key)
    except KeyRateError:
        return False
    return True


def test_a_burst_then_the_rate() -> None:
    clock = Clock()
    rates = RateLimiter(per_second=2, burst=3, clock=clock)
    assert [allowed(rates) for _ in range(5)] == [True, True, True, False, False]
    clock.now += 0.5
    assert [allowed(rates) for _ in range(2)] == [True, False]
    clock.now += 100  # idle time buys one burst, not many
    assert [allowed(rates) for _ in range(5)] == [True, True, True, False, False]


def test_each_key_has_its_own_account() -> None:
    rates = RateLimiter(per_second=1, burst=1, clock=Clock())
    assert [allowed(rates, key) for key in "abab"] == [True, True, False, False]


def test_a_refusal_says_what_is_allowed_and_when_to_come_back() -> None:
    clock = Clock()
    rates = RateLimiter(per_second=0.25, burst=2, clock=clock)
    assert allowed(rates)
    assert allowed(rates)
    with pytest.raises(KeyRateError, match=r"may send 0\.25 images a second, and 2 at once") as e:
        rates.count("a")
    assert e.value.retry_after_seconds == 4
    clock.now += 4
    assert allowed(rates)


def test_the_images_of_a_request_are_paid_before_the_next_one() -> None:
    clock = Clock()
    rates = RateLimiter(per_second=2, burst=3, clock=clock)
    assert allowed(rates)
    for _ in range(9):
        rates.charge("a", 1)
    with pytest.raises(KeyRateError) as refused:
        rates.count("a")
    assert refused.value.retry_after_seconds == 4  # ten images of which three are free at once
    clock.now += 4
    assert [allowed(rates) for _ in range(2)] == [True, False]
    rates.charge("a", 1)
    rates.charge("a", -1)
    clock.now += 0.5
    assert [allowed(rates) for _ in range(2)] == [True, False]


@given(
    per_second=st.sampled_from([0.3, 1, 7, 60]),
    burst=st.integers(1, 5),
    further=st.lists(st.integers(0, 200), min_size=1, max_size=20),
)
def test_who_comes_back_when_told_is_let_in(
    per_second: float, burst: int, further: list[int]
) -> None:
    clock = Clock()
    rates = RateLimiter(per_second, burst, clock)
    for images in further:
        try:
            rates.count("a")
        except KeyRateError as error:
            clock.now += error.retry_after_seconds or 0
            rates.count("a")
        rates.charge("a", images)


@given(
    per_second=st.sampled_from([0.5, 1, 4, 64]),  # whose pauses are exact in binary
    burst=st.integers(1, 5),
    pauses=st.lists(st.integers(0, 64), min_size=1, max_size=60),
)
def test_no_stretch_of_time_has_more_than_burst_and_rate(
    per_second: float, burst: int, pauses: list[int]
) -> None:
    clock = Clock()
    rates = RateLimiter(per_second, burst, clock)
    taken: list[float] = []
    for pause in pauses:
        clock.now += pause / 64
        if allowed(rates):
            taken.append(clock.now)
    for first, start in enumerate(taken):
        for last, end in enumerate(taken[first:], first):
            assert last - first + 1 <= burst + (end - start) * per_second
    assert taken[0] == 1000 + pauses[0] / 64


def test_a_form_is_answered_whole_and_its_images_are_counted(tmp_path: Path) -> None:
    key, line = new_key("clinic-a")
    (tmp_path / "keys").write_text(line)
    settings: dict[str, Any] = {
        "keys_file": tmp_path / "keys",
        "key_rate": 0.01,
        "key_burst": 3,
    }

    async def main() -> None:
        async with client(FakeEngine(), **settings) as http:
            http.headers["authorization"] = f"Bearer {key}"
            answer = await http.post("/segment", files=[("a", IMAGE)] * 6)
            assert not [image for image in answer.json()["images"] if "error" in image]
            refused = await http.get("/model")
            assert refused.status_code == 429
            # Six images, of which two may lie ahead of the clock.
            assert int(refused.headers["retry-after"]) == pytest.approx(400, abs=2)

    asyncio.run(main())
