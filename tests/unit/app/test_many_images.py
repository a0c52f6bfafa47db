"""Forms of many files and frames: a window of them in work, within the queue and the deadline."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from app.attempts import Attempt, attempt_all
from app.http.media_types import SNIFFED, UploadedFile
from app.http.parameters import FrameRange
from solo.decoding.radiograph import RadiographInfo
from solo.errors import DeadlineError, QueueFullError, SoloError
from solo.inference.engine import ModelIdentity
from solo.result import Result, Timings
from tests.support.engines import FakeEngine
from tests.support.films import flat, png
from tests.support.in_process import client
from tests.support.virtual_time import run_virtually

INFO = RadiographInfo(
    height=8, width=8, frame=0, frames=1, grey="as_stored", pixel_spacing=None, kind="png",
    encoding="png",
)  # fmt: skip
MODEL = ModelIdentity("tiny", "1", "f" * 64, "cpu")
AT_ONCE = 6


class Queue:
    """Segments in a second each, so many at once, and refuses what is more.

    Attributes:
        most: that were in work together.
        begun: images, refused ones not counted.
    """

    def __init__(self, places: int = 1000, frames: int = 1) -> None:
        self.places, self.frames = places, frames
        self.in_work = self.most = self.begun = 0

    async def segment(self, file: UploadedFile, *, frame: int) -> Result:
        del file
        if self.in_work >= self.places:
            raise QueueFullError("the queue is full")
        self.begun += 1
        self.in_work += 1
        self.most = max(self.most, self.in_work)
        try:
            await asyncio.sleep(1)
        finally:
            self.in_work -= 1
        info = replace(INFO, frame=frame, frames=self.frames)
        return Result(MODEL, "0" * 64, info, (), Timings(0, 0, 0, 0))


def tried(
    queue: Queue, files: int, frame: str = "0", seconds: float = 1e6
) -> tuple[list[Attempt], float, int]:
    """The attempts, how long they took, and what was charged beyond the first."""
    charged: list[int] = []

    async def main() -> tuple[list[Attempt], float, int]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        attempts = await attempt_all(
            [UploadedFile([b"film"], SNIFFED)] * files,
            FrameRange.parse(frame),
            queue.segment,
            None,
            AT_ONCE,
            began + seconds,
            charged.append,
        )
        return attempts, loop.time() - began, sum(charged)

    return run_virtually(main())


def kinds(attempts: list[Attempt]) -> set[str]:
    return {one.result.kind if isinstance(one.result, SoloError) else "" for one in attempts}


@pytest.mark.parametrize(("files", "frames"), [(100, 1), (1, 100), (10, 10), (2, 50)])
def test_a_window_of_images_is_in_work(files: int, frames: int) -> None:
    queue = Queue(frames=frames)
    attempts, seconds, charged = tried(queue, files, "all")
    places = [(one.index, one.frame) for one in attempts]
    assert places == [(index, frame) for index in range(files) for frame in range(frames)]
    assert kinds(attempts) == {""}
    assert queue.most == AT_ONCE
    assert seconds <= 100 / AT_ONCE + 2  # the first frames tell how many there are
    assert charged == 99


@pytest.mark.parametrize("places", [1, 2, 5])
def test_what_finds_no_place_waits_for_the_rest_of_its_request(places: int) -> None:
    queue = Queue(places)
    attempts, seconds, charged = tried(queue, 40)
    assert kinds(attempts) == {""}
    assert queue.begun == 40
    assert seconds == pytest.approx(40 / places)
    assert charged == 39


def test_a_queue_that_is_full_of_others_is_told() -> None:
    attempts, seconds, _ = tried(Queue(places=0), 40)
    assert len(attempts) == 40
    assert kinds(attempts) == {"queue-full"}
    assert seconds == 0


def test_what_was_not_begun_before_the_deadline_is_not_begun() -> None:
    queue = Queue(frames=128)
    attempts, seconds, charged = tried(queue, 60, "all", seconds=9.5)
    assert queue.begun == 10 * AT_ONCE
    assert charged == queue.begun - 1
    assert seconds == pytest.approx(10)
    late = [one for one in attempts if isinstance(one.result, DeadlineError)]
    assert len(attempts) - len(late) == queue.begun
    assert {one.index for one in attempts} == set(range(60))


def test_who_leaves_leaves_nothing_in_work() -> None:
    async def main() -> None:
        queue, film = Queue(), UploadedFile([b"film"], SNIFFED)
        work = attempt_all([film] * 20, FrameRange.parse("0"), queue.segment, None, AT_ONCE)
        task = asyncio.create_task(work)
        await asyncio.sleep(1.5)
        assert queue.in_work == AT_ONCE
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert queue.in_work == 0
        assert queue.begun == 2 * AT_ONCE

    run_virtually(main())


def test_a_form_of_as_many_files_as_may_be_is_answered_whole() -> None:
    async def ask() -> Any:
        files = [(f"film{grey}", png(flat(grey + 100))) for grey in range(100)]
        async with client(FakeEngine(), max_batch=8) as http:
            return (await http.post("/segment", files=files)).json()["images"]

    images = asyncio.run(ask())
    assert [image["index"] for image in images] == list(range(100))
    assert not [image for image in images if "error" in image]
