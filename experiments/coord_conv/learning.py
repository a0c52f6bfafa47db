"""Teaches one network one task, and asks it about every place."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from experiments.coord_conv.tasks import SplitName, Task, all_places, split

_BATCH_SIZE = 32
_PEAK_RATE = 1e-2
_WARMUP = 0.1  # of the run


@dataclass(frozen=True, eq=False)  # compared by identity: tensors have no single truth
class Lesson:
    """What a network has learned of a task.

    Attributes:
        train_score: mean score of the places that it was taught, 0 to 1.
        test_score: of those that were held out.
        scores: float32 [S, S], each place's own; NaN where no square fits.
        held_out: bool [S, S].
        parameters: of the network.
    """

    train_score: float
    test_score: float
    scores: Tensor
    held_out: Tensor
    parameters: int


def teach(
    network: nn.Module, task: Task, side: int, split_name: SplitName, *, steps: int, seed: int
) -> Lesson:
    """Trains by Adam, with a rate that rises and falls once, and scores every place.

    Args:
        network: from the task's inputs to its answers.
        task: one of `all_tasks`.
        side: S.
        split_name: which places are held out.
        steps: of 32 places each.
        seed: of the split and of the order of places.
    """
    generator = torch.Generator().manual_seed(seed)
    taught, held_out = split(all_places(side), side, split_name, seed)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, _PEAK_RATE, total_steps=steps, pct_start=_WARMUP
    )
    network.train()
    for _ in range(steps):
        chosen = taught[torch.randint(len(taught), (_BATCH_SIZE,), generator=generator)]
        loss = task.loss(network(task.inputs(chosen, side)), chosen)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return _examine(network, task, side, taught, held_out)


def _examine(network: nn.Module, task: Task, side: int, taught: Tensor, held_out: Tensor) -> Lesson:
    network.eval()
    scores = torch.full((side, side), torch.nan)
    with torch.inference_mode():
        for places in torch.cat([taught, held_out]).split(8 * _BATCH_SIZE):
            rows, columns = places.T
            scores[rows, columns] = task.score(network(task.inputs(places, side)), places)
    is_held_out = torch.zeros((side, side), dtype=torch.bool)
    is_held_out[held_out[:, 0], held_out[:, 1]] = True
    return Lesson(
        train_score=float(scores[taught[:, 0], taught[:, 1]].mean()),
        test_score=float(scores[held_out[:, 0], held_out[:, 1]].mean()),
        scores=scores,
        held_out=is_held_out,
        parameters=sum(weights.numel() for weights in network.parameters()),
    )
