"""The library as its users call it, on a model made of Python and on the bundled one."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from pycocotools import mask as coco_mask

from solo import (
    AsyncSegmenter,
    ModelError,
    Options,
    RadiographFile,
    Result,
    Sandbox,
    Segmenter,
    SoloError,
)
from solo.errors import (
    DeadlineError,
    DrainingError,
    ImageTooLargeError,
    InvalidParameterError,
    MalformedError,
    UnavailableError,
)
from solo.sandbox.pool import DecoderPool
from solo.sandbox.process import ProcessEndedError
from tests.support.batching import Gate, Told
from tests.support.dicom import dicom_file
from tests.support.engines import FakeEngine, expected_scores
from tests.support.films import chest, flat, png

EXAMPLES = Path(__file__).parents[3] / "examples"
FILM = png(flat(200))


@pytest.fixture
def segmenter() -> Iterator[Segmenter]:
    with Segmenter(FakeEngine(), cores=2) as open_segmenter:
        yield open_segmenter


def score(result: object) -> float:
    assert isinstance(result, Result)
    return result.instances[0].score


def test_the_bundled_model_finds_two_lungs_in_the_example() -> None:
    with Segmenter() as bundled:
        result = bundled.segment(EXAMPLES / "chest.dcm")
    assert [instance.label for instance in result.instances] == ["lung", "lung"]
    assert result.model.name == bundled.manifest.name == "cxr-lungs"
    info = result.radiograph
    assert (info.height, info.width, info.grey) == (1240, 1480, "window")
    assert info.pixel_spacing is not None
    assert info.pixel_spacing.source == "geometry"
    for instance in result.instances:
        mask = instance.mask()
        assert mask.shape == (1240, 1480)
        assert mask.sum() == instance.area
        np.testing.assert_array_equal(coco_mask.decode(instance.rle()).astype(np.bool_), mask)
        x, y, width, height = instance.bbox
        assert mask[y : y + height, x : x + width].sum() == instance.area
        assert len(instance.polygons()) == 1


def test_path_bytes_and_pieces_have_one_result(segmenter: Segmenter, tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(FILM)
    pieces = RadiographFile([FILM[:40], FILM[40:]])
    results = [segmenter.segment(source) for source in (path, str(path), FILM, pieces)]
    assert len({result.sha256 for result in results}) == 1
    assert [score(result) for result in results] == pytest.approx(
        [expected_scores(200 / 255)[0]] * 4
    )
    with pytest.raises(FileNotFoundError):
        segmenter.segment(tmp_path / "absent.png")


@pytest.mark.parametrize("deep", [False, True])
def test_pixels_are_segmented_as_the_same_png_is(segmenter: Segmenter, deep: bool) -> None:
    pixels = chest(80, 60) if deep else (chest(80, 60) >> 4).astype(np.uint8)
    alone = segmenter.segment(pixels, wants_pixels=True)
    filed = segmenter.segment(png(pixels), wants_pixels=True)
    assert alone.pixels is not None
    assert filed.pixels is not None
    np.testing.assert_array_equal(alone.pixels, filed.pixels)
    assert [i.score for i in alone.instances] == [i.score for i in filed.instances]
    assert alone.radiograph.grey == filed.radiograph.grey
    colour = np.dstack([np.full((8, 9), value, np.uint8) for value in (250, 20, 60)])
    seen = segmenter.segment(colour, wants_pixels=True).pixels
    assert seen is not None
    assert (seen == cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY)).all()


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4), np.float32), np.zeros(9, np.uint8), np.zeros((0, 4), np.uint8),
     np.zeros((3, 3, 2), np.uint8), np.zeros((4, 4), np.int16)],
)  # fmt: skip
def test_other_arrays_are_refused(segmenter: Segmenter, pixels: npt.NDArray[Any]) -> None:
    with pytest.raises(MalformedError, match="pixels are"):
        segmenter.segment(pixels)
    with pytest.raises(InvalidParameterError, match="frame is 1"):
        segmenter.segment(np.zeros((4, 4), np.uint8), frame=1)


def test_pixels_have_the_limit_of_files() -> None:
    with Segmenter(FakeEngine(), cores=1, max_pixels=100) as segmenter:
        assert segmenter.segment(np.zeros((10, 10), np.uint8)).radiograph.height == 10
        with pytest.raises(ImageTooLargeError, match="at most 100"):
            segmenter.segment(np.zeros((10, 11, 3), np.uint8))


def test_map_keeps_the_order_and_each_error_stays_with_its_source(
    segmenter: Segmenter, tmp_path: Path
) -> None:
    greys = range(140, 240, 2)
    sources: list[Path | bytes] = [png(flat(grey)) for grey in greys]
    sources[7:7] = [b"junk", tmp_path / "absent.dcm"]
    outcomes = list(segmenter.map(sources))
    assert isinstance(outcomes[7], MalformedError)
    assert isinstance(outcomes[8], FileNotFoundError)
    del outcomes[7:9]
    assert [score(outcome) for outcome in outcomes] == pytest.approx(
        [expected_scores(grey / 255)[0] for grey in greys]
    )


def test_map_takes_few_sources_ahead_and_may_be_left(segmenter: Segmenter) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield FILM

    outcomes = segmenter.map(endless())
    for _ in range(10):
        assert isinstance(next(outcomes), Result)
    assert isinstance(outcomes, Generator)
    outcomes.close()
    assert taken <= 10 + 64
    assert segmenter.segment(FILM).instances


def test_options_narrow_the_result(segmenter: Segmenter) -> None:
    film = png((chest(80, 60) >> 4).astype(np.uint8))
    every = Options(score_threshold=0)
    assert len(segmenter.segment(film, options=every).instances) == 2
    assert len(segmenter.segment(film, options=Options(0, max_instances=1)).instances) == 1
    assert segmenter.segment(film, options=Options(score_threshold=1)).instances == ()


@pytest.mark.parametrize(
    "wrong",
    [{"score_threshold": 1.1}, {"score_threshold": "0.5"}, {"max_overlap": -1},
     {"max_overlap": float("nan")}, {"max_instances": 0}, {"max_instances": 2.5},
     {"max_instances": float("nan")}, {"max_instances": "3"}],
)  # fmt: skip
def test_options_out_of_range_are_refused_at_once(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidParameterError, match=next(iter(wrong))):
        Options(**wrong)


@pytest.mark.parametrize(
    ("called", "name"),
    [(Segmenter, name) for name in ("cores", "max_batch", "queue_limit", "max_pixels")]
    + [(Sandbox, name) for name in ("workers", "decode_seconds")],
)
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_numbers_with_which_nothing_can_run_are_refused(
    called: Callable[..., object], name: str, value: float
) -> None:
    given = {"model": FakeEngine()} if called is Segmenter else {}
    with pytest.raises(ValueError, match=f"{name} is {value}"):
        called(**given, **{name: value})


def test_frames_are_chosen_by_number(segmenter: Segmenter) -> None:
    film = dicom_file(np.stack([flat(150), flat(210)]), WindowCenter=128, WindowWidth=256)
    results = [segmenter.segment(film, frame=frame) for frame in (0, 1)]
    assert [result.radiograph.frame for result in results] == [0, 1]
    assert {result.radiograph.frames for result in results} == {2}
    assert score(results[0]) < score(results[1])
    with pytest.raises(SoloError):
        segmenter.segment(film, frame=2)


@pytest.mark.parametrize("sandbox", [None, Sandbox(workers=1)])
def test_a_frame_may_be_a_number_of_numpy(sandbox: Sandbox | None) -> None:
    film = dicom_file(np.stack([flat(150), flat(210)]))
    with Segmenter(FakeEngine(), sandbox, cores=1) as segmenter:
        info = segmenter.segment(film, frame=np.arange(2)[1]).radiograph
        assert (info.frame, type(info.frame)) == (1, int)
        for wrong in (0.0, "0", None):
            with pytest.raises(TypeError):
                segmenter.segment(film, frame=wrong)  # type: ignore[arg-type]


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


def test_what_cannot_be_opened_is_said_at_once() -> None:
    with pytest.raises(ModelError, match="no-such-model"):
        Segmenter("no-such-model")


def test_the_sandbox_decodes_elsewhere_and_a_stopped_one_answers() -> None:
    with Segmenter(FakeEngine(), Sandbox(workers=1), cores=1) as segmenter:
        assert isinstance(next(segmenter.map([FILM])), Result)
        with pytest.raises(MalformedError):
            segmenter.segment(b"junk")


async def _waiting_on_a_lost_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    async with AsyncSegmenter(FakeEngine(), Sandbox(workers=1), events=told) as segmenter:

        async def broken(_: DecoderPool) -> None:
            raise ProcessEndedError(1)

        monkeypatch.setattr(DecoderPool, "_open", broken)
        monkeypatch.setattr("solo.sandbox.pool._PAUSE_SECONDS", 0)
        pool = segmenter._decoder
        assert isinstance(pool, DecoderPool)
        for process in pool._processes:
            process.kill()
        asked = [asyncio.create_task(segmenter.segment(FILM)) for _ in range(3)]
        async with asyncio.timeout(20):
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert all(isinstance(outcome, UnavailableError) for outcome in outcomes)
        assert told.fatal == "decoders cannot be started: ProcessEndedError"


def test_a_sandbox_that_cannot_go_on_leaves_nobody_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asyncio.run(_waiting_on_a_lost_pool(monkeypatch))


async def _deadline() -> None:
    gate = Gate()
    async with AsyncSegmenter(FakeEngine(gate), cores=1) as segmenter:
        loop = asyncio.get_running_loop()
        first = asyncio.create_task(segmenter.segment(FILM))
        await gate.reached()
        with pytest.raises(DeadlineError):
            await segmenter.segment(FILM, deadline=loop.time() + 0.05)
        waiting = asyncio.create_task(segmenter.segment(FILM))
        await asyncio.sleep(0.05)
        gate.opened.set()
        assert isinstance(await first, Result)
        assert isinstance(await waiting, Result)
        segmenter.abandon()


def test_a_deadline_is_kept_and_frees_its_place() -> None:
    asyncio.run(_deadline())


async def _stopped() -> None:
    gate = Gate()
    segmenter = AsyncSegmenter(FakeEngine(gate), cores=1)
    await segmenter.start()
    asked = asyncio.create_task(segmenter.segment(FILM))
    await gate.reached()
    await segmenter.stop()
    gate.opened.set()
    with pytest.raises(DrainingError):
        await asked


def test_stopping_answers_those_who_wait() -> None:
    asyncio.run(_stopped())


async def _stopped_while_decoding(sandbox: Sandbox | None) -> None:
    segmenter = AsyncSegmenter(FakeEngine(), sandbox, cores=1)
    await segmenter.start()
    asked = [asyncio.create_task(segmenter.segment(EXAMPLES / "chest.dcm")) for _ in range(12)]
    left = asyncio.create_task(segmenter.segment(FILM))
    await asyncio.sleep(0.01)
    left.cancel()
    await segmenter.stop()
    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert all(isinstance(outcome, Result | DrainingError) for outcome in outcomes)
    assert isinstance(outcomes[-1], DrainingError)
    with pytest.raises(asyncio.CancelledError):
        await left
    for source in (FILM, EXAMPLES / "chest.dcm", np.zeros((4, 4), np.uint8)):
        with pytest.raises(DrainingError):
            await segmenter.segment(source)


@pytest.mark.parametrize("sandbox", [None, Sandbox(workers=1)])
def test_stopping_cancels_nobody_who_did_not_ask_for_it(sandbox: Sandbox | None) -> None:
    asyncio.run(_stopped_while_decoding(sandbox))


async def _events() -> Told:
    told = Told()
    async with AsyncSegmenter(FakeEngine(), events=told) as segmenter:
        await asyncio.gather(*(segmenter.segment(FILM) for _ in range(4)))
    return told


def test_events_tell_of_batches_and_results() -> None:
    told = asyncio.run(_events())
    assert sum(told.batches) == 4
    assert [result.model.name for result in told.results] == ["tiny"] * 4


def test_importing_the_library_loads_no_door() -> None:
    code = (
        "import sys; from solo import Segmenter, AsyncSegmenter;"
        "unwanted = {'torch', 'fastapi', 'starlette', 'prometheus_client', 'multipart', 'uvicorn',"
        " 'onnx', 'app', 'model'};"
        "print(sorted(unwanted & {*sys.modules}))"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("wrong", [{"provider": "gpu"}, {"precision": "bf16"}])
def test_words_that_do_not_exist_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="has to be one of auto, "):
        Segmenter(FakeEngine(), **wrong)


def test_one_source_is_not_many(segmenter: Segmenter) -> None:
    for source in ("film.png", FILM):
        with pytest.raises(TypeError, match="segment takes one"):
            next(segmenter.map(source))  # type: ignore[arg-type]


def test_a_segmenter_serves_the_event_loop_that_started_it_alone() -> None:
    segmenter = AsyncSegmenter(FakeEngine(), cores=1)

    async def unstarted() -> None:
        with pytest.raises(RuntimeError, match="the event loop that started it"):
            await segmenter.segment(FILM)

    async def elsewhere() -> None:
        await unstarted()
        with pytest.raises(RuntimeError, match="was started before"):
            await segmenter.start()

    async def here() -> None:
        await segmenter.start()
        assert isinstance(await segmenter.segment(FILM), Result)
        await asyncio.to_thread(asyncio.run, elsewhere())
        await segmenter.stop()

    asyncio.run(unstarted())
    asyncio.run(here())
