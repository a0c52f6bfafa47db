"""What waits for a model, and the batches that are on their way through it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from app.batching.admission import Place
from app.inference.served_model import Canvas, ServedModel
from model.contract.instances import Instances


@dataclass(frozen=True)
class Outcome:
    """A model's answer for one image, with the time it waited and the time its batch ran."""

    instances: Instances
    queue_seconds: float
    inference_seconds: float
    model: ServedModel


@dataclass(eq=False)
class Waiting:
    """An image that waits for its model's answer, in the queue or in a batch."""

    canvas: Canvas
    future: asyncio.Future[Outcome]
    place: Place
    model: ServedModel
    since: float
    tried_again: bool = False


@dataclass(eq=False)
class Flight:
    """A batch on its way through the model, until each of its images is answered."""

    batch: list[Waiting]


@dataclass(frozen=True)
class Attempt:
    """A run that failed: of which images, on which model, in which of its sessions."""

    batch: list[Waiting]
    model: ServedModel
    session: int
