"""Every variant learns, is evaluated, and is kept and loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from model.configuration.network import MaskLossName, ModelConfig, VariantName
from model.configuration.recipe import Preset, TrainConfig
from model.data.coco import load_coco
from model.data.dataset import TrainingStream, collate
from model.data.objects import Objects
from model.evaluation.measure import measure, predict
from model.network.checkpoint import load_network
from model.training.criterion import Criterion
from model.training.trainer import Trainer
from tests.support.coco_folder import disc_folder
from tests.support.tiny import seeded, tiny_config

VARIANTS: list[tuple[VariantName, dict[str, Any]]] = [
    ("solo", {"shared_cells": "latest"}),
    ("decoupled_solo", {"shared_cells": "smallest", "mask_loss": "bce"}),
    ("decoupled_solo_light", {"mask_loss": "focal"}),
    ("solov2", {"mask_loss": "bce"}),
]


@pytest.mark.parametrize(("variant", "changes"), VARIANTS, ids=[name for name, _ in VARIANTS])
def test_a_variant_learns_and_is_evaluated(
    variant: VariantName, changes: dict[str, Any], tmp_path: Path
) -> None:
    data = load_coco(disc_folder(tmp_path / "films", 4))
    config = tiny_config(
        variant=variant, class_names=data.class_names, category_ids=data.category_ids, **changes
    )
    preset = Preset(config, TrainConfig(12, batch_size=2, warmup_iterations=2, learning_rate=4e-3))
    trainer = Trainer(seeded(config), preset, data, seed=0)
    stream = TrainingStream(data, config.canvas_size, 8, seed=9)
    images, objects = collate([stream[index] for index in range(len(stream))])

    def loss() -> float:
        with torch.inference_mode():
            losses = Criterion(config)(trainer.network.train()(images), objects)
        return float(sum(losses.values()))

    before = loss()
    trainer.run(tmp_path / "checkpoint.pt")
    assert loss() < 0.9 * before

    network = load_network(tmp_path / "checkpoint.pt")
    assert network.config == config
    metrics = measure(data, predict(network, data))
    assert metrics["ap"] is not None


@pytest.mark.parametrize(("variant", "changes"), VARIANTS, ids=[name for name, _ in VARIANTS])
def test_films_without_objects_reach_every_weight(
    variant: VariantName, changes: dict[str, Any]
) -> None:
    network = seeded(tiny_config(variant=variant, **changes))
    empty = Objects(
        torch.zeros(0, 64, 64, dtype=torch.uint8), torch.zeros(0, 4), torch.zeros(0).long()
    )
    losses = Criterion(network.config)(network(torch.rand(2, 1, 64, 64)), [empty] * 2)
    assert losses["mask"] == 0
    assert losses["category"] > 0
    torch.stack(list(losses.values())).sum().backward()
    for name, parameter in network.head.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_a_checkpoint_from_before_the_variants_is_a_solov2() -> None:
    values = tiny_config().to_dict()
    for name in (
        "variant",
        "mask_loss",
        "mask_targets",
        "shared_cells",
        "min_area",
        "max_overlap",
        "nms_across_classes",
    ):
        del values[name]
    restored = ModelConfig.from_dict(values)
    assert restored == tiny_config()
    assert (restored.variant, restored.shared_cells, restored.mask_loss) == (
        "solov2",
        "all",
        "dice",
    )


@pytest.mark.parametrize("mask_loss", ["dice", "focal", "bce"])
def test_a_mask_loss_pulls_towards_the_target(mask_loss: MaskLossName) -> None:
    """The right mask costs less than the wrong one, under every loss and at any certainty."""
    criterion = Criterion(tiny_config(mask_loss=mask_loss))
    target = torch.zeros(1, 8, 8)
    target[:, 2:6, 3:7] = 1
    right = 4 * (2 * target - 1)
    costs = [float(criterion._mask_loss(logits, target)) for logits in (right, right / 4, -right)]
    assert costs == sorted(costs)
    assert costs[0] < 0.1 * costs[2]
