"""Distributed training: the process group, and losses scaled to the whole batch.

Each takes its part of every batch. Losses are divided by the objects of the whole batch, so that
the sum over the processes, and with it the gradient, is that of one process with the whole batch.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn

from model.configuration.network import ModelConfig
from model.data.objects import Objects
from model.network.solo_network import SoloNetwork
from model.training.sync_batch_norm import norm_over_group
from model.training.targets import assign


@dataclass(frozen=True)
class ProcessGroup:
    """Process group as seen by one of its processes; by default it is alone.

    Attributes:
        rank: from 0; the first one saves, reports and measures.
        size: processes.
    """

    rank: int = 0
    size: int = 1

    @classmethod
    def join(cls, device: torch.device) -> ProcessGroup:
        """Joins the process group that torchrun started; a group of one where it did not."""
        if os.environ.get("WORLD_SIZE", "1") == "1":
            return cls()
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        return cls(distributed.get_rank(), distributed.get_world_size())

    def leave(self) -> None:
        """Destroys the process group that `join` made."""
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

    def wrap(self, network: SoloNetwork) -> nn.Module:
        """Wraps a network so that gradients are averaged over the group after each backward pass.

        Its batch norms, changed in place, see the images of the whole group.
        """
        if self.size == 1:
            return network
        device = next(network.parameters()).device
        on_gpu = device.type == "cuda"
        if on_gpu:
            nn.SyncBatchNorm.convert_sync_batchnorm(network)
        else:
            norm_over_group(network)
        return nn.parallel.DistributedDataParallel(
            network,
            device_ids=[device] if on_gpu else None,
            find_unused_parameters=_leaves_maps_unused(network.config),
        )

    def share(
        self, losses: dict[str, Tensor], objects: Sequence[Objects], config: ModelConfig
    ) -> dict[str, Tensor]:
        """Scales losses to this process's part of the whole batch's; the parts add up to them.

        `model.training.criterion` divides the category loss by one more than the positive cells of
        its images, the mask loss by the positive cells. Here these become the whole batch's.
        """
        if self.size == 1:
            return losses
        own = positive_cells(objects, config)
        every = self.total({"positives": own})["positives"]
        return {
            "category": losses["category"] * ((own + 1) / (every + 1)),
            "mask": losses["mask"] * (own.clamp(min=1) / every.clamp(min=1)),
        }

    def gather(self, sentences: list[str]) -> list[str]:
        """Gathers the texts of all processes, in the order of their ranks."""
        if self.size == 1:
            return sentences
        said: list[list[str] | None] = [None] * self.size
        distributed.all_gather_object(said, sentences)
        return [sentence for each in said for sentence in each or ()]

    def total(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """All-reduce: the sum over the group, without gradients."""
        summed = torch.stack([value.detach().to(torch.float64) for value in values.values()])
        if self.size > 1:
            distributed.all_reduce(summed)
        return dict(zip(values, summed, strict=True))


def own_device(name: str) -> str:
    """Local device: this process's GPU among those of its machine; a CPU is everyone's."""
    if not name.startswith("cuda") or "LOCAL_RANK" not in os.environ:
        return name
    return f"cuda:{os.environ['LOCAL_RANK']}"


def _leaves_maps_unused(config: ModelConfig) -> bool:
    """Whether some of P2..P5 go into no level, nor into SOLOv2's mask branch: P6 is made of P5."""
    used = {min(level.pyramid, 5) for level in config.levels}
    return config.variant != "solov2" and used != {2, 3, 4, 5}


def positive_cells(objects: Sequence[Objects], config: ModelConfig) -> Tensor:
    """Number of cells of a batch that have an object: float64 scalar."""
    levels = [level for each in objects for level in assign(each, config)]
    counts = torch.stack([(level.labels < config.num_classes).sum() for level in levels])
    return counts.sum().to(torch.float64)
