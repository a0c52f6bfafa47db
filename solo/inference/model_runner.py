"""A model with what was learnt of it while it was warmed up; everything here blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import numpy.typing as npt

from solo.contract.instances import Instances
from solo.inference.cost_model import RunTimes
from solo.inference.engine import Engine
from solo.inference.fair_semaphore import Turns
from solo.inference.self_test import Golden, run_golden

Canvas = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Run:
    """What a batch came to.

    Attributes:
        answers: one for each canvas.
        started: when it began.
        seconds: how long it took.
        alone: whether nothing else ran at any time meanwhile.
    """

    answers: list[Instances]
    started: float
    seconds: float
    alone: bool


class ServedModel:
    """An engine, how long it takes, and its answer for the golden film.

    As many batches run at a time as the engine likes. A thread that brings another one stacks it
    meanwhile and waits for its turn, so that nothing lies between two batches.

    Args:
        engine: computes.
        clock: seconds.

    Attributes:
        engine: computes.
        times: what a run of each batch size takes.
        sessions: how often the engine was started anew.
        stands_in: the model that answers in this one's place, once this one has failed.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = perf_counter) -> None:
        self.engine = engine
        self.times = RunTimes(dict.fromkeys(engine.batch_sizes, 1.0))
        self.sessions = 0
        self.stands_in: ServedModel | None = None
        self._golden: Golden | None = None
        self._clock = clock
        self._turns = Turns(engine.runs_at_once)

    def warm_up(self) -> None:
        """Runs every batch size and the golden film.

        Raises:
            Exception: whatever the engine raises.
        """
        with self._turns.all():
            self.times = RunTimes(self.engine.warm_up())
            self._golden = Golden.record(self.engine)

    @property
    def golden(self) -> Golden:
        """The answer for the golden film.

        Raises:
            RuntimeError: before the model is warm.
        """
        if self._golden is None:
            raise RuntimeError("the model has not been warmed up")
        return self._golden

    def run(self, canvases: Sequence[Canvas]) -> Run:
        """Runs one batch.

        Args:
            canvases: float32 [H, W] each, in [0, 1].

        Raises:
            Exception: whatever the engine raises.
        """
        images = np.stack(canvases)[:, None]
        with self._turns.one() as is_alone:
            started = self._clock()
            answers = self.engine.run(images)
            return Run(answers, started, self._clock() - started, is_alone())

    def check(self) -> None:
        """Runs the golden film and compares.

        Raises:
            Exception: if the answer is another than at warm-up, and whatever the engine raises.
        """
        with self._turns.one():
            self.golden.check(run_golden(self.engine))

    def reopen(self) -> None:
        """Starts the engine anew and runs the golden film.

        Raises:
            Exception: if it is not as it was.
        """
        with self._turns.all():
            self.engine.reopen()
            self.sessions += 1
        self.check()
