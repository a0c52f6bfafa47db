"""Batches: images in the queue, batches on their way through the model, and their runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from solo.batching.admission import Place
from solo.contract.instances import Instances
from solo.inference.model_runner import Canvas, ModelRunner, RunResult


@dataclass(frozen=True)
class Outcome:
    """A model's answer for one image, with the time it waited and the time its batch ran."""

    instances: Instances
    queue_seconds: float
    inference_seconds: float
    model: ModelRunner
    out_of_distribution: float | None


@dataclass(eq=False)
class QueuedImage:
    """An image that waits for its model's answer, in the queue or in a batch."""

    canvas: Canvas
    future: asyncio.Future[Outcome]
    place: Place
    model: ModelRunner
    since: float
    tried_again: bool = False


@dataclass(frozen=True, eq=False)
class Run:
    """A run of the model: of which images, on which model, in which of its sessions."""

    images: list[QueuedImage]
    model: ModelRunner
    session: int
    result: asyncio.Future[RunResult]
