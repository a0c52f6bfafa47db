"""What waits for a model, and the batches that are on their way through it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from solo.batching.admission import Place
from solo.contract.instances import Instances
from solo.inference.model_runner import Canvas, Run, ServedModel


@dataclass(frozen=True)
class Outcome:
    """A model's answer for one image, with the time it waited and the time its batch ran."""

    instances: Instances
    queue_seconds: float
    inference_seconds: float
    model: ServedModel


@dataclass(eq=False)
class Waiting:
    """An image that waits for its model's answer, in the queue or in a batch.

    Attributes:
        meanwhile: work of the event loop that the answer needs, best done while the model runs.
    """

    canvas: Canvas
    future: asyncio.Future[Outcome]
    place: Place
    model: ServedModel
    since: float
    meanwhile: Callable[[], object]
    tried_again: bool = False


@dataclass(eq=False)
class Flight:
    """A batch on its way through the model, until each of its images is answered."""

    batch: list[Waiting]

    def use_the_time(self) -> None:
        """Does what the answers need besides the model."""
        for waiting in self.batch:
            waiting.meanwhile()


@dataclass(frozen=True)
class Attempt:
    """A run of the model: of which images, on which model, in which of its sessions."""

    batch: list[Waiting]
    model: ServedModel
    session: int
    run: asyncio.Future[Run]
