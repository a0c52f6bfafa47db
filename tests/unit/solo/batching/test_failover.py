"""A failing model: what is asked of the engine in turn, and who is answered."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from solo.batching.batch import Outcome
from solo.batching.hot_reload import HotReload
from solo.errors import DrainingError, ModelFailedError, SoloError, UnavailableError
from solo.inference.engine import DeviceMemoryError, Engine, InferenceError, ProviderChangedError
from tests.support.batching import Rig, running, until
from tests.support.engines import CANVAS, FakeEngine, expected_scores, manifest

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Device:
    """What an engine runs on: works in the first sessions as told, and holds so many images."""

    def __init__(self, broken_until_session: int = 0, holds: int = 100) -> None:
        self.broken_until_session = broken_until_session
        self.holds = holds
        self.error: Exception = RuntimeError("the device is lost")
        self.engine = FakeEngine(self.run, before_self_test=self.run_self_test, max_batch=4)

    def run_self_test(self) -> None:
        if self.engine.sessions < self.broken_until_session:
            raise self.error

    def run(self, images: npt.NDArray[np.float32]) -> None:
        self.run_self_test()
        if len(images) > self.holds:
            raise DeviceMemoryError("planted")


def answered(results: list[Outcome | BaseException], *greys: float) -> None:
    for grey, result in zip(greys, results, strict=True):
        assert isinstance(result, Outcome)
        assert result.instances.scores.tolist() == pytest.approx(expected_scores(grey))


async def test_a_new_session_helps_and_nobody_notices() -> None:
    device = Device()
    async with running(device.engine) as rig:
        device.broken_until_session = 1
        answered(await rig.ask_all(0.1, 0.2, 0.3), 0.1, 0.2, 0.3)
        assert device.engine.sessions == 1
        assert rig.ready
        assert rig.told.sessions_reopened == 1


async def test_a_dead_device_ends_the_process_and_answers_everybody() -> None:
    device = Device()
    async with running(device.engine) as rig:
        device.broken_until_session = 100
        results = await rig.ask_all(*[0.1] * 9)
        assert all(isinstance(result, SoloError) for result in results)
        assert all(isinstance(result, UnavailableError) for result in results)
        assert rig.told.fatal == "the model fails, and a new session does not help"
        assert not rig.ready
        with pytest.raises(DrainingError):
            await rig.ask(0.5)


async def test_sessions_that_keep_breaking_are_not_opened_for_ever() -> None:
    device = Device()
    async with running(device.engine) as rig:
        for _ in range(3):
            device.broken_until_session = device.engine.sessions + 1
            answered(await rig.ask_all(0.1), 0.1)
        device.broken_until_session = device.engine.sessions + 1
        (result,) = await rig.ask_all(0.1)
        assert isinstance(result, SoloError)
        assert device.engine.sessions == 3
        assert rig.told.fatal is not None


async def test_short_memory_makes_batches_smaller() -> None:
    device = Device()
    async with running(device.engine) as rig:
        device.holds = 2
        greys = [index / 20 for index in range(12)]
        answered(await rig.ask_all(*greys), *greys)
        device.engine.batches.clear()
        answered(await rig.ask_all(*greys), *greys)
        assert max(device.engine.batches) == 2
        assert device.engine.sessions == 0
        assert rig.ready


async def test_no_memory_for_one_image_needs_a_new_session_and_then_an_end() -> None:
    device = Device()
    async with running(device.engine) as rig:
        device.holds = 0
        (result,) = await rig.ask_all(0.5)
        assert isinstance(result, SoloError)
        assert device.engine.sessions == 1
        assert rig.told.fatal is not None
        assert "no memory for one image" in rig.told.fatal


async def test_another_provider_ends_the_process() -> None:
    device = Device()
    async with running(device.engine) as rig:
        device.error = ProviderChangedError("CPUExecutionProvider computes")
        device.broken_until_session = 1
        (result,) = await rig.ask_all(0.5)
        assert isinstance(result, SoloError)
        assert device.engine.sessions == 0
        assert rig.told.fatal == "CPUExecutionProvider computes"


async def test_the_self_test_finds_what_no_request_met() -> None:
    device = Device()
    async with running(device.engine, self_test_seconds=0.001) as rig:
        await until(lambda: device.engine.self_test_runs > 4)
        assert rig.ready
        device.broken_until_session = 1
        await until(lambda: device.engine.sessions == 1)
        answered(await rig.ask_all(0.5), 0.5)
        device.broken_until_session = 100
        await until(lambda: rig.told.fatal is not None)


def successor(**changes: object) -> FakeEngine:
    engine = FakeEngine()
    engine.sha256 = "a" * 64
    engine.manifest = manifest(version="2", **changes)
    return engine


def hot_reload(rig: Rig, engine: Engine) -> HotReload:
    return HotReload(lambda: engine, rig.batcher, rig.told)


async def test_a_successor_answers_what_comes_and_the_old_model_what_was_there() -> None:
    old, new = FakeEngine(), successor()
    async with running(old) as rig:
        canvas = np.full(CANVAS, 0.5, np.float32)
        model = rig.batcher.model  # of a request that is being decoded
        assert await hot_reload(rig, new).run()
        with rig.batcher.admission.place("interactive", 60) as place:
            begun = await rig.batcher.submit(canvas, place, model)
        later = await rig.ask(0.5)
        assert (begun.model.engine, later.model.engine) == (old, new)
        assert (old.batches, new.batches) == ([1], [1])
        assert rig.told.reloads == {"swapped": 1}
        assert [model.version for model in rig.told.models] == ["2"]


class Blind(FakeEngine):
    """Sees bright where the other sees dark."""

    def run(self, images: npt.NDArray[np.float32]) -> list[Any]:
        return super().run(1 - images)


@pytest.mark.parametrize(
    "engine",
    [
        successor(class_names=("bright", "black")),
        successor(canvas_size=(32, 64)),
        FakeEngine(),  # the same file
        Blind(),
    ],
    ids=["classes", "canvas", "same", "blind"],
)
async def test_an_unworthy_successor_changes_nothing(engine: FakeEngine) -> None:
    if isinstance(engine, Blind):
        engine.sha256 = "b" * 64
    old = FakeEngine()
    async with running(old) as rig:
        assert not await hot_reload(rig, engine).run()
        assert (await rig.ask(0.5)).model.engine is old
        assert rig.told.reloads == {"refused": 1}


async def test_a_successor_that_cannot_be_opened_changes_nothing() -> None:
    def broken() -> Engine:
        raise InferenceError("planted")

    old = FakeEngine()
    async with running(old) as rig:
        assert not await HotReload(broken, rig.batcher, rig.told).run()
        assert (await rig.ask(0.5)).model.engine is old


async def test_a_reload_that_is_asked_for_during_another_follows_it() -> None:
    opened, let_go = threading.Event(), threading.Event()
    engines = [successor(), successor()]
    engines[1].sha256 = "d" * 64

    def open_next() -> Engine:
        opened.set()
        assert let_go.wait(10)
        return engines.pop(0)

    async with running(FakeEngine()) as rig:
        reload = HotReload(open_next, rig.batcher, rig.told)
        reload.begin()
        assert await asyncio.to_thread(opened.wait, 10)
        for _ in range(3):
            reload.begin()
        let_go.set()
        await until(lambda: rig.told.reloads == {"swapped": 2})
        assert rig.batcher.model.engine.sha256 == "d" * 64
        assert engines == []


async def test_a_successor_that_fails_at_work_gives_way_to_the_old_model() -> None:
    failing = threading.Event()

    def fail(_: object = None) -> None:
        if failing.is_set():
            raise RuntimeError("the device is lost")

    old, new = FakeEngine(), FakeEngine(fail, before_self_test=fail)
    new.sha256 = "c" * 64
    async with running(old) as rig:
        assert await hot_reload(rig, new).run()
        failing.set()
        results = await rig.ask_all(0.1, 0.2)
        answered(results, 0.1, 0.2)
        assert all(isinstance(r, Outcome) and r.model.engine is old for r in results)
        assert rig.ready
        assert rig.told.reloads == {"swapped": 1, "rolled_back": 1}


async def test_a_poisonous_image_costs_no_session() -> None:
    def poison(images: npt.NDArray[np.float32]) -> None:
        if (images == 0.75).any():
            raise RuntimeError("planted")

    engine = FakeEngine(poison)
    async with running(engine) as rig:
        results = await rig.ask_all(0.1, 0.75, 0.3)
        assert isinstance(results[1], ModelFailedError)
        answered([results[0], results[2]], 0.1, 0.3)
        assert engine.sessions == 0
        assert rig.ready
