"""Model runner: an engine, its cost model and its self-test; everything here blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import numpy.typing as npt

from solo.inference.cost_model import CostModel
from solo.inference.engine import Engine, ModelIdentity, Prediction
from solo.inference.fair_semaphore import FairSemaphore
from solo.inference.self_test import SelfTest, run_self_test

Canvas = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RunResult:
    """The result of a run of a batch.

    Attributes:
        answers: one for each canvas.
        started: when it began.
        seconds: how long it took.
        alone: whether nothing else ran at any time meanwhile.
    """

    answers: list[Prediction]
    started: float
    seconds: float
    alone: bool


class ModelRunner:
    """An engine, how long it takes, and its answer for the self-test image.

    As many batches run at a time as the engine likes. A thread that brings another one stacks it
    meanwhile and waits for its turn, so that nothing lies between two batches.

    Args:
        engine: computes.
        clock: seconds.

    Attributes:
        engine: computes.
        identity: names the model in results.
        costs: what a run of each batch size takes.
        self_test: the recorded answer for the self-test image; there once the model is warm.
        sessions: how often the engine was started anew.
        fallback: the model that answers in this one's place, once this one has failed.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = perf_counter) -> None:
        self.engine = engine
        manifest = engine.manifest
        self.identity = ModelIdentity(
            manifest.name, manifest.version, engine.sha256, engine.provider
        )
        self.costs = CostModel(dict.fromkeys(engine.batch_sizes, 1.0))
        self.sessions = 0
        self.fallback: ModelRunner | None = None
        self.self_test: SelfTest
        self._clock = clock
        self._semaphore = FairSemaphore(engine.runs_at_once)

    def warm_up(self) -> None:
        """Runs every batch size and the self-test.

        Raises:
            Exception: whatever the engine raises.
        """
        with self._semaphore.all():
            self.costs = CostModel(self.engine.warm_up())
            self.self_test = SelfTest.record(self.engine)

    def run(self, canvases: Sequence[Canvas]) -> RunResult:
        """Runs one batch.

        Args:
            canvases: float32 [H, W] each, in [0, 1].

        Raises:
            Exception: whatever the engine raises.
        """
        images = np.stack(canvases)[:, None]
        with self._semaphore.one() as is_alone:
            started = self._clock()
            answers = self.engine.run(images)
            return RunResult(answers, started, self._clock() - started, is_alone())

    def check(self) -> None:
        """Runs the self-test image and compares.

        Raises:
            Exception: if the answer is another than at warm-up, and whatever the engine raises.
        """
        with self._semaphore.one():
            self.self_test.check(run_self_test(self.engine))

    def reopen(self) -> None:
        """Starts the engine anew and runs the self-test.

        Raises:
            Exception: if it is not as it was.
        """
        with self._semaphore.all():
            self.engine.reopen()
            self.sessions += 1
        self.check()
