"""A segmenter and threads: many at once, its end, forks, one that is forgotten."""

from __future__ import annotations

import gc
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from solo import (
    Result,
    Segmenter,
)
from solo.errors import (
    DrainingError,
)
from tests.support.engines import FakeEngine, expected_scores
from tests.support.films import flat, png

FILM = png(flat(200))


@pytest.fixture
def segmenter() -> Iterator[Segmenter]:
    with Segmenter(FakeEngine(), cores=2) as open_segmenter:
        yield open_segmenter


def score(result: object) -> float:
    assert isinstance(result, Result)
    return result.instances[0].score


def test_many_threads_may_ask_one_segmenter(segmenter: Segmenter) -> None:
    found: dict[int, float] = {}

    def ask(grey: int) -> None:
        found[grey] = score(segmenter.segment(png(flat(grey))))

    threads = [threading.Thread(target=ask, args=(grey,)) for grey in range(150, 230, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == {grey: pytest.approx(expected_scores(grey / 255)[0]) for grey in found}
    assert len(found) == 20


def test_a_closed_segmenter_leaves_no_thread_and_answers_nobody() -> None:
    before = set(threading.enumerate())
    segmenter = Segmenter(FakeEngine(), cores=1)
    segmenter.segment(FILM)
    segmenter.close()
    segmenter.close()
    assert not [t for t in set(threading.enumerate()) - before if t.is_alive() and t.name == "solo"]
    with pytest.raises(RuntimeError):
        segmenter.segment(FILM)


def test_threads_wait_for_a_place() -> None:
    with Segmenter(FakeEngine(), cores=1, queue_limit=2) as segmenter:
        with ThreadPoolExecutor(12) as threads:
            alone = list(threads.map(segmenter.segment, [FILM] * 24))
            together = list(threads.map(lambda _: [*segmenter.map([FILM] * 4)], range(12)))
        assert [score(result) for result in alone] == [score(alone[0])] * 24
        assert all(isinstance(result, Result) for each in together for result in each)


def test_closing_answers_those_who_wait_in_other_threads(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "film.png")
    segmenter = Segmenter(FakeEngine(), cores=1)
    with ThreadPoolExecutor(2) as threads:
        # The first reads from a pipe that nobody writes to, the second waits for its thread.
        asked = [threads.submit(segmenter.segment, tmp_path / "film.png") for _ in range(2)]
        writer = os.open(tmp_path / "film.png", os.O_WRONLY)
        segmenter.close()
        for each in asked:
            with pytest.raises(DrainingError):
                each.result(10)
        os.close(writer)


def test_a_map_that_outlives_its_segmenter_says_so() -> None:
    with Segmenter(FakeEngine(), cores=1) as segmenter:
        late, begun = segmenter.map([FILM]), segmenter.map([FILM] * 50)
        next(begun)
    for outcomes in (late, begun):
        with pytest.raises(RuntimeError, match="the segmenter is closed"):
            list(outcomes)


def test_a_forked_process_is_told_to_open_its_own(segmenter: Segmenter) -> None:
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            segmenter.segment(FILM)
        except RuntimeError as error:
            os.write(there, str(error).encode())
            segmenter.close()
            os.write(there, b"; closed")
        finally:
            os._exit(0)
    os.close(there)
    try:
        assert select.select([here], [], [], 10)[0], "the child hangs"
        time.sleep(0.2)
        told = os.read(here, 200).decode()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(here)
    assert told.endswith("open one in each process; closed")
    assert segmenter.segment(FILM).instances


def test_a_forgotten_segmenter_ends_its_thread() -> None:
    segmenter = Segmenter(FakeEngine(), cores=1)
    segmenter.segment(FILM)
    thread = segmenter._thread
    del segmenter
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()
