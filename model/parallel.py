"""Several processes that train one network, started by torchrun.

Each takes its part of every batch. Losses are divided by the objects of the whole batch, so that
the sum over the processes, and with it the gradient, is that of one process with the whole batch.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from model.config import ModelConfig
from model.segmenter import Segmenter
from model.targets import Objects, assign


@dataclass(frozen=True)
class Team:
    """This process among those that train together; by default it is alone.

    Attributes:
        rank: from 0; the first one saves, reports and measures.
        size: processes.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls, device: torch.device) -> Team:
        """The team that torchrun started, or a team of one where it did not."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls()
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(distributed.get_rank(), distributed.get_world_size())

    def leave(self) -> None:
        """Ends what `join` began."""
        if self.size > 1:
            distributed.destroy_process_group()

    def part_of(self, batch_size: int) -> range:
        """The places in a batch that are this process's.

        Raises:
            ValueError: if the batch cannot be divided.
        """
        if batch_size % self.size:
            raise ValueError(
                f"a batch of {batch_size} cannot be divided among {self.size} processes"
            )
        own = batch_size // self.size
        return range(self.rank * own, (self.rank + 1) * own)

    def wrap(self, segmenter: Segmenter) -> nn.Module:
        """The network whose gradients are averaged over the team after each backward pass.

        Batch norms see the images of their own process alone, unless their statistics are frozen.
        """
        if self.size == 1:
            return segmenter
        device = next(segmenter.parameters()).device
        places = [device] if device.type == "cuda" else None
        return nn.parallel.DistributedDataParallel(segmenter, device_ids=places)

    def share(
        self, losses: dict[str, Tensor], objects: Sequence[Objects], config: ModelConfig
    ) -> dict[str, Tensor]:
        """This process's part of the whole batch's losses; the parts add up to them.

        `model.criterion` divides the category loss by one more than the positive cells of its
        images, the mask loss by the positive cells. Here these become the whole batch's.
        """
        if self.size == 1:
            return losses
        own = positive_cells(objects, config)
        every = self.total({"positives": own})["positives"]
        return {
            "category": losses["category"] * ((own + 1) / (every + 1)),
            "mask": losses["mask"] * (own.clamp(min=1) / every.clamp(min=1)),
        }

    def total(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Sums over the team, without gradients."""
        summed = torch.stack([value.detach().to(torch.float64) for value in values.values()])
        if self.size > 1:
            distributed.all_reduce(summed)
        return dict(zip(values, summed, strict=True))


def own_device(device: torch.device) -> torch.device:
    """The GPU that is this process's among those of its machine; a CPU is everyone's."""
    if device.type != "cuda" or "LOCAL_RANK" not in os.environ:
        return device
    return torch.device("cuda", int(os.environ["LOCAL_RANK"]))


def positive_cells(objects: Sequence[Objects], config: ModelConfig) -> Tensor:
    """How many cells of a batch have an object: float64 scalar."""
    levels = [level for each in objects for level in assign(each, config)]
    counts = torch.stack([(level.labels < config.num_classes).sum() for level in levels])
    return counts.sum().to(torch.float64)
