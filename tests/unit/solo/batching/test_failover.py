"""A failing model: what is asked of the engine in turn, and who is answered."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from prometheus_client import CollectorRegistry

from app.lifecycle import Lifecycle
from app.metrics import Metrics
from solo.batching.batch import Outcome
from solo.batching.batcher import Batcher
from solo.batching.hot_reload import Replacement
from solo.errors import DrainingError, ModelFailedError, ServiceError
from solo.inference.engine import DeviceMemoryError, Engine, InferenceError, ProviderChangedError
from solo.inference.model_runner import ServedModel
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
        self.engine = FakeEngine(self.run, before_golden=self.run_golden, max_batch=4)

    def run_golden(self) -> None:
        if self.engine.sessions < self.broken_until_session:
            raise self.error

    def run(self, images: npt.NDArray[np.float32]) -> None:
        self.run_golden()
        if len(images) > self.holds:
            raise DeviceMemoryError("planted")


class Rig:
    def __init__(self, engine: FakeEngine, canary_seconds: float) -> None:
        self.metrics = Metrics(CollectorRegistry(), engine, [], 100)
        self.lifecycle = Lifecycle(self.metrics)
        self.batcher = Batcher(
            ServedModel(engine, engine.clock), 100, self.lifecycle, self.metrics,
            clock=engine.clock, canary_seconds=canary_seconds,
        )  # fmt: skip

    async def ask(self, grey: float) -> Outcome:
        with self.batcher.admission.place("interactive", 60) as place:
            canvas = np.full(CANVAS, grey, np.float32)
            return await self.batcher.submit(canvas, place, self.batcher.model)

    async def ask_all(self, *greys: float) -> list[Outcome | BaseException]:
        return await asyncio.gather(*map(self.ask, greys), return_exceptions=True)

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)


@asynccontextmanager
async def running(engine: FakeEngine, canary_seconds: float = 1e6) -> AsyncIterator[Rig]:
    rig = Rig(engine, canary_seconds)
    await rig.batcher.start()
    rig.lifecycle.serve()
    try:
        yield rig
    finally:
        await rig.batcher.stop()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


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
        assert rig.lifecycle.ready
        assert rig.value("solo_sessions_reopened_total") == 1


async def test_a_dead_device_ends_the_process_and_answers_everybody() -> None:
    device = Device()
    async with running(device.engine) as rig:
        device.broken_until_session = 100
        results = await rig.ask_all(*[0.1] * 9)
        assert all(isinstance(result, ServiceError) for result in results)
        assert {getattr(result, "status", None) for result in results} == {503}
        assert rig.lifecycle.fatal == "the model fails, and a new session does not help"
        assert not rig.lifecycle.ready
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
        assert isinstance(result, ServiceError)
        assert device.engine.sessions == 3
        assert rig.lifecycle.fatal is not None


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
        assert rig.lifecycle.ready


async def test_no_memory_for_one_image_needs_a_new_session_and_then_an_end() -> None:
    device = Device()
    async with running(device.engine) as rig:
        device.holds = 0
        (result,) = await rig.ask_all(0.5)
        assert isinstance(result, ServiceError)
        assert device.engine.sessions == 1
        assert rig.lifecycle.fatal is not None
        assert "no memory for one image" in rig.lifecycle.fatal


async def test_another_provider_ends_the_process() -> None:
    device = Device()
    async with running(device.engine) as rig:
        device.error = ProviderChangedError("CPUExecutionProvider computes")
        device.broken_until_session = 1
        (result,) = await rig.ask_all(0.5)
        assert isinstance(result, ServiceError)
        assert device.engine.sessions == 0
        assert rig.lifecycle.fatal == "CPUExecutionProvider computes"


async def test_the_canary_finds_what_no_request_met() -> None:
    device = Device()
    async with running(device.engine, canary_seconds=0.001) as rig:
        await until(lambda: device.engine.golden_runs > 4)
        assert rig.lifecycle.ready
        device.broken_until_session = 1
        await until(lambda: device.engine.sessions == 1)
        answered(await rig.ask_all(0.5), 0.5)
        device.broken_until_session = 100
        await until(lambda: rig.lifecycle.fatal is not None)


def successor(**changes: object) -> FakeEngine:
    engine = FakeEngine()
    engine.sha256 = "a" * 64
    engine.manifest = manifest(version="2", **changes)
    return engine


def replacement(rig: Rig, engine: Engine) -> Replacement:
    return Replacement(lambda: engine, rig.batcher, rig.metrics)


async def test_a_successor_answers_what_comes_and_the_old_model_what_was_there() -> None:
    old, new = FakeEngine(), successor()
    async with running(old) as rig:
        canvas = np.full(CANVAS, 0.5, np.float32)
        model = rig.batcher.model  # of a request that is being decoded
        assert await replacement(rig, new).run()
        with rig.batcher.admission.place("interactive", 60) as place:
            begun = await rig.batcher.submit(canvas, place, model)
        later = await rig.ask(0.5)
        assert (begun.model.engine, later.model.engine) == (old, new)
        assert (old.batches, new.batches) == ([1], [1])
        assert rig.value("solo_model_replacements_total", outcome="swapped") == 1
        info = rig.metrics.registry.collect()
        (found,) = (family for family in info if family.name == "solo_model_info")
        assert [sample.labels["version"] for sample in found.samples] == ["2"]


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
        assert not await replacement(rig, engine).run()
        assert (await rig.ask(0.5)).model.engine is old
        assert rig.value("solo_model_replacements_total", outcome="refused") == 1


async def test_a_successor_that_cannot_be_opened_changes_nothing() -> None:
    def broken() -> Engine:
        raise InferenceError("planted")

    old = FakeEngine()
    async with running(old) as rig:
        assert not await Replacement(broken, rig.batcher, rig.metrics).run()
        assert (await rig.ask(0.5)).model.engine is old


async def test_a_successor_that_fails_at_work_gives_way_to_the_old_model() -> None:
    failing = threading.Event()

    def fail(_: object = None) -> None:
        if failing.is_set():
            raise RuntimeError("the device is lost")

    old, new = FakeEngine(), FakeEngine(fail, before_golden=fail)
    new.sha256 = "c" * 64
    async with running(old) as rig:
        assert await replacement(rig, new).run()
        failing.set()
        results = await rig.ask_all(0.1, 0.2)
        answered(results, 0.1, 0.2)
        assert all(isinstance(r, Outcome) and r.model.engine is old for r in results)
        assert rig.lifecycle.ready
        assert rig.value("solo_model_replacements_total", outcome="rolled_back") == 1


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
        assert rig.lifecycle.ready
