"""Distributed training: the process group, and losses scaled to the whole batch.

Each takes its part of every batch. Losses are divided by the objects of the whole batch, so that
the sum over the processes, and with it the gradient, is that of one process with the whole batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

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
        if device.type == "cuda":
            torch.cuda.set_device(device)  # where objects are gathered
        # The others wait while the first one validates.
        distributed.init_process_group(
            "nccl" if device.type == "cuda" else "gloo", timeout=timedelta(hours=12)
        )
        return cls(distributed.get_rank(), distributed.get_world_size())

    def leave(self) -> None:
        """Destroys the process group that `join` made."""
        if self.size > 1:
            distributed.destroy_process_group()

    def part_of(self, batch_size: int, parts: int = 1) -> range:
        """The places in a batch that are this process's, who takes them in so many parts.

        Raises:
            ValueError: if the batch cannot be divided.
        """
        if batch_size % (self.size * parts):
            each = f", each of which takes {parts} parts," if parts > 1 else ""
            least = self.size * parts
            raise ValueError(
                f"a batch of {batch_size} cannot be divided among {self.size} processes{each}: "
                f"{max(least, round(batch_size / least) * least)} can"
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
        for module in _unused(network):
            module.requires_grad_(False)  # their gradients would be waited for
        return nn.parallel.DistributedDataParallel(network, device_ids=[device] if on_gpu else None)

    def positives(
        self, objects: Sequence[Objects], config: ModelConfig, parts: int = 1
    ) -> Tensor | None:
        """Positive cells of the whole batch; None where one process takes it in one part.

        Args:
            objects: this process's.
            config: the network's.
            parts: that this process takes one after the other.
        """
        if self.size == parts == 1:
            return None
        return self.total({"positives": positive_cells(objects, config)})["positives"]

    def exchange(self, wrapped: nn.Module, *, last: bool) -> AbstractContextManager[None]:
        """Context of a backward pass: gradients are averaged over the group after the last part."""
        if last or not isinstance(wrapped, nn.parallel.DistributedDataParallel):
            return nullcontext()
        waiting: AbstractContextManager[None] = wrapped.no_sync()
        return waiting

    def gather(self, sentences: list[str]) -> list[str]:
        """Gathers the texts of all processes, in the order of their ranks."""
        if self.size == 1:
            return sentences
        said: list[list[str] | None] = [None] * self.size
        distributed.all_gather_object(said, sentences)
        return [sentence for each in said for sentence in each or ()]

    def highest(self, value: int) -> int:
        """The highest number that a process has."""
        if self.size == 1:
            return value
        device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
        found = torch.tensor(value, device=device)
        distributed.all_reduce(found, distributed.ReduceOp.MAX)
        return int(found)

    def lowest(self, value: int) -> int:
        """The lowest number that a process has."""
        return -self.highest(-value)

    def total(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """All-reduce: the sum over the group, without gradients."""
        summed = torch.stack([value.detach().to(torch.float64) for value in values.values()])
        if self.size > 1:
            distributed.all_reduce(summed)
        return dict(zip(values, summed, strict=True))


def share(
    losses: dict[str, Tensor],
    objects: Sequence[Objects],
    config: ModelConfig,
    positives: Tensor | None,
) -> dict[str, Tensor]:
    """Scales the losses of a part to its share of the whole batch's; the shares add up to them.

    `model.training.criterion` divides the category loss by one more than the positive cells of
    its images, the mask loss by the positive cells. Here these become the whole batch's.

    Args:
        losses: of a part of the batch.
        objects: of that part.
        config: the network's.
        positives: as `ProcessGroup.positives` gives them.
    """
    if positives is None:
        return losses
    own = positive_cells(objects, config)
    return {
        "category": losses["category"] * ((own + 1) / (positives + 1)),
        "mask": losses["mask"] * (own.clamp(min=1) / positives.clamp(min=1)),
    }


def own_device(name: str) -> str:
    """Local device: this process's GPU among those of its machine; a CPU is everyone's."""
    if not name.startswith("cuda") or "LOCAL_RANK" not in os.environ:
        return name
    return f"cuda:{os.environ['LOCAL_RANK']}"


def _unused(network: SoloNetwork) -> Iterator[nn.Module]:
    """Convolutions of the FPN whose maps reach no level, nor SOLOv2's mask branch.

    Levels see P2..P5, and P6, which is made of P5. A lateral map goes into all finer ones too.
    """
    if network.config.variant == "solov2":
        return
    used = {min(level.pyramid, 5) - 2 for level in network.config.levels}
    for place, (lateral, output) in enumerate(
        zip(network.fpn.lateral, network.fpn.output, strict=True)
    ):
        if place not in used:
            yield output
        if place < min(used):
            yield lateral


def positive_cells(objects: Sequence[Objects], config: ModelConfig) -> Tensor:
    """Number of cells of a batch that have an object: float64 scalar."""
    levels = [level for each in objects for level in assign(each, config)]
    counts = torch.stack([(level.labels < config.num_classes).sum() for level in levels])
    return counts.sum().to(torch.float64)
