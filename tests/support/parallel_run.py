"""Trains three steps, alone or in a group, and writes what it lost: run by torchrun or by a test.

python -m tests.support.parallel_run DATA BROKEN_DATA ANSWER
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import torch

from model.configuration.network import Level, ModelConfig
from model.configuration.recipe import Preset, TrainConfig
from model.data.coco import DatasetError, load_coco
from model.network.solo_network import SoloNetwork
from model.training.distributed import ProcessGroup
from model.training.trainer import Trainer
from model.training.validation import Verdict
from model.training.verify import load_readable
from tests.support.tiny import FourConvolutions, seeded, tiny_config

_WIDE = {"fpn_channels": 32, "head_channels": 32, "mask_branch_channels": 32, "mask_channels": 32}
FROZEN = "a backbone of frozen statistics"
BATCH_NORM = "batch norms, and maps that no level sees"
SOLO = "the first SOLO, and maps that no level sees"
RUNS: dict[str, ModelConfig] = {
    FROZEN: tiny_config(norm="group", **_WIDE),
    BATCH_NORM: tiny_config(variant="decoupled_solo", levels=(Level(4, 16, 4, (1, 256)),)),
    SOLO: tiny_config(variant="solo", levels=(Level(4, 16, 4, (1, 256)),)),
}


def losses_of(run: str, data: Path, group: ProcessGroup) -> list[dict[str, float]]:
    """The losses of each step, by the process whose rank is the group's."""
    preset = Preset(RUNS[run], TrainConfig(3, batch_size=4, frozen_batch_norm=True))
    # The many batch norms of an untrained Lite0 on so small a film would make each rounding error
    # a hundred thousand times as large: they are frozen, or in the head alone.
    other = patch("model.network.solo_network.build_backbone", lambda _: FourConvolutions())
    with other if run != FROZEN else nullcontext():
        network = seeded(RUNS[run])
    trainer = Trainer(network, preset, load_coco(data), seed=3, group=group)
    losses = [trainer._train_step(images, objects) for images, objects in trainer._batches()]
    statistics = [buffer.double().sum() for buffer in trainer.network.buffers()]
    return [*losses, {"running statistics": float(torch.stack(statistics).sum())}]


class StopsAtTwo:
    """A validation that the first process alone is asked, and that ends the run at its second."""

    every = 1

    def __init__(self, group: ProcessGroup) -> None:
        self.group = group
        self.asked = 0

    def after(
        self, step: int, passes: float, values: dict[str, float], network: SoloNetwork
    ) -> Verdict:
        """The best at first, and then in vain."""
        assert self.group.rank == 0
        self.asked += 1
        return Verdict(is_best=self.asked == 1, stop=self.asked == 2)

    def state(self) -> dict[str, int]:
        """How often it was asked."""
        return {"asked": self.asked}

    def restore(self, state: dict[str, int]) -> None:
        """Goes on from there."""
        self.asked = state["asked"]

    def finish(self, network: SoloNetwork) -> None:
        """In the first process alone."""
        assert self.group.rank == 0


def step_of_the_stop(data: Path, folder: Path, group: ProcessGroup) -> int:
    """The step after which a process ends, of six."""
    network = seeded(RUNS[FROZEN])
    preset = Preset(RUNS[FROZEN], TrainConfig(6, batch_size=4, frozen_batch_norm=True))
    trainer = Trainer(network, preset, load_coco(data), seed=3, group=group)
    trainer.run(folder / "checkpoint.pt", validation=StopsAtTwo(group))
    return trainer.step


def main() -> None:
    """Joins torchrun's group; each process writes what it saw."""
    data, broken, answer = map(Path, sys.argv[1:])
    torch.set_num_threads(1)
    group = ProcessGroup.join(torch.device("cpu"))
    losses = {run: losses_of(run, data, group) for run in RUNS}
    faults = faults_of(broken, group)
    stop = step_of_the_stop(data, answer.parent, group)
    seen = json.dumps({"losses": losses, "faults": faults, "stop": stop})
    answer.with_name(f"{answer.name}.{group.rank}").write_text(seen)
    group.leave()
    # All is written. At exit, threads of torch's process group are now and then destroyed while
    # they run, which aborts the process: that is not what the test asks.
    os._exit(0)


def faults_of(data: Path, group: ProcessGroup) -> list[str]:
    """What is wrong with a data set of which each process decodes a part."""
    try:
        load_readable(data, group)
    except DatasetError as error:
        return str(error).splitlines()
    return []


if __name__ == "__main__":
    main()
