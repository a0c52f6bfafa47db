"""Trains two steps, alone or in a team, and writes what it lost: run by torchrun or by a test.

python -m tests.support.parallel_run DATA LOSSES
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from model.coco import load_coco
from model.config import Preset, TrainConfig
from model.engine import Trainer
from model.parallel import Team
from tests.support.tiny import seeded, tiny_config


def losses_of(data: Path, team: Team) -> list[dict[str, float]]:
    """The losses of each step, by the process whose rank is the team's.

    Group norm and frozen statistics: nothing depends on what else is in a process's part.
    """
    config = tiny_config(norm="group", fpn_channels=32, head_channels=32, mask_branch_channels=32)
    config = tiny_config(**{**config.to_dict(), "levels": config.levels, "mask_channels": 32})
    preset = Preset(config, TrainConfig(2, batch_size=4, frozen_batch_norm=True, optimizer="sgd"))
    trainer = Trainer(seeded(config), preset, load_coco(data), seed=3, team=team)
    return [trainer._train_step(images, objects) for images, objects in trainer._batches()]


def main() -> None:
    """Joins torchrun's team and writes the first process's view."""
    torch.set_num_threads(1)
    team = Team.join(torch.device("cpu"))
    losses = losses_of(Path(sys.argv[1]), team)
    if team.rank == 0:
        Path(sys.argv[2]).write_text(json.dumps(losses))
    team.leave()


if __name__ == "__main__":
    main()
