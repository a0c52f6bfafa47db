"""What a run may go on from: a checkpoint of its own settings, whole, of any length."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from model.configuration.recipe import Preset
from model.data.coco import CocoDataset, load_coco
from model.network.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from model.network.solo_network import SoloNetwork
from model.training.trainer import Trainer
from tests.support.coco_folder import disc_folder
from tests.support.tiny import seeded, tiny_preset


@pytest.fixture
def discs(tmp_path: Path) -> CocoDataset:
    return load_coco(disc_folder(tmp_path / "discs", 3, empty=(2,)))


@pytest.mark.parametrize(
    "change",
    [
        lambda preset: replace(preset, train=replace(preset.train, learning_rate=1e-3)),
        lambda preset: replace(preset, model=replace(preset.model, sigma=0.3)),
    ],
)
def test_a_run_of_other_settings_is_not_resumed(
    change: Callable[[Preset], Preset], discs: CocoDataset, tmp_path: Path
) -> None:
    preset = tiny_preset(1)
    trainer = Trainer(seeded(preset.model), preset, discs, seed=0)
    trainer.save(tmp_path / "checkpoint.pt")
    other = Trainer(SoloNetwork(change(preset).model), change(preset), discs, seed=0)
    name = r"training.learning_rate \(0.002 there, 0.001 now\)|network.sigma \(0.2 there, 0.3 now\)"
    with pytest.raises(CheckpointError, match=f"a run with other settings: ({name})[.] It cannot"):
        other.resume(tmp_path / "checkpoint.pt")
    trainer.resume(tmp_path / "checkpoint.pt")
    with pytest.raises(CheckpointError, match=r"settings: seed \(0 there, 1 now\)"):
        Trainer(seeded(preset.model), preset, discs, seed=1).resume(tmp_path / "checkpoint.pt")


@pytest.mark.parametrize("part", ["last_weights", "averaged_steps", "optimizer", "step"])
def test_a_run_with_a_damaged_part_is_not_resumed(part: str, tmp_path: Path) -> None:
    data, preset = load_coco(disc_folder(tmp_path / "films", 2)), tiny_preset(1)
    path = tmp_path / "checkpoint.pt"
    trainer = Trainer(seeded(preset.model), preset, data, seed=0)
    trainer.save(path)
    _, state = load_checkpoint(path)
    for damaged in ({**state, part: {}}, {k: v for k, v in state.items() if k != part}):
        save_checkpoint(path, preset, damaged)
        with pytest.raises(CheckpointError, match=r"damaged|weights only|lack"):
            trainer.resume(path)


def test_weights_alone_are_not_resumed(discs: CocoDataset, tmp_path: Path) -> None:
    preset = tiny_preset(1)
    trainer = Trainer(seeded(preset.model), preset, discs, seed=0)
    state = {"weights": trainer.averaged.state_dict(), "seed": 0}
    save_checkpoint(tmp_path / "weights.pt", preset, state)
    with pytest.raises(CheckpointError, match="holds weights only: start from it with --weights"):
        trainer.resume(tmp_path / "weights.pt")


def test_a_longer_run_goes_on_from_a_shorter_one(discs: CocoDataset, tmp_path: Path) -> None:
    short, long = tiny_preset(2), tiny_preset(4)
    first = Trainer(seeded(short.model), short, discs, seed=0)
    first.run(tmp_path / "checkpoint.pt")
    second = Trainer(seeded(long.model), long, discs, seed=0)
    said = second.resume(tmp_path / "checkpoint.pt")
    # Of cosines from 100 % to 1 % after a first step of warm-up: the 2nd of 2 steps, the 3rd of 4.
    assert said is not None
    assert "a run of 2 steps goes on to 4" in said
    assert "which was 100% of its peak, goes on at 75%" in said
    samples = [second.stream.film(place).image_id for place in range(4)]
    assert samples == [first.stream.film(place).image_id for place in range(4)]
    second.run(tmp_path / "checkpoint.pt")
    assert load_checkpoint(tmp_path / "checkpoint.pt")[1]["step"] == 4
    shorter = Trainer(seeded(short.model), short, discs, seed=0)
    with pytest.raises(CheckpointError, match="has made 4 steps already, more than 2"):
        shorter.resume(tmp_path / "checkpoint.pt")
