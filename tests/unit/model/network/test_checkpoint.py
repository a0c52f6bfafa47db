"""Checkpoints: what was saved is loaded, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from model.configuration.recipe import Preset
from model.network.checkpoint import (
    CheckpointError,
    fine_tune,
    keep_weights,
    load_checkpoint,
    load_network,
    load_weights,
    save_checkpoint,
)
from model.network.solo_network import SoloNetwork
from tests.support.tiny import seeded, tiny_config, tiny_preset


@pytest.fixture(scope="module")
def trained() -> SoloNetwork:
    return seeded(tiny_config(), seed=4)


@pytest.fixture
def saved(trained: SoloNetwork, tmp_path: Path) -> Path:
    path = tmp_path / "checkpoint.pt"
    save_checkpoint(path, tiny_preset(), {"weights": trained.state_dict(), "step": 7})
    return path


def test_what_was_saved_is_loaded(saved: Path, trained: SoloNetwork) -> None:
    preset, state = load_checkpoint(saved)
    assert preset == tiny_preset()
    assert state["step"] == 7
    network = load_network(saved)
    assert not network.training
    assert network.config == trained.config
    expected = trained.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in network.state_dict().items())
    assert list(saved.parent.iterdir()) == [saved]  # nothing half-written stays behind


def test_weights_alone_are_a_smaller_checkpoint(
    saved: Path, trained: SoloNetwork, tmp_path: Path
) -> None:
    state = {"weights": trained.state_dict(), "last_weights": trained.state_dict(), "step": 7}
    save_checkpoint(saved, tiny_preset(), {**state, "optimizer": {"m": torch.ones(1000)}})
    keep_weights(saved, tmp_path / "weights.pt")
    preset, kept = load_checkpoint(tmp_path / "weights.pt")
    assert preset == tiny_preset()
    assert list(kept) == ["weights"]
    expected = trained.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in kept["weights"].items())
    fine_tune(seeded(tiny_config()), tmp_path / "weights.pt")


def test_a_save_that_fails_leaves_the_old_file(saved: Path, trained: SoloNetwork) -> None:
    before = saved.read_bytes()

    class Unwritable:
        def __reduce__(self) -> Any:
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        save_checkpoint(saved, tiny_preset(), {"weights": {}, "broken": Unwritable()})
    assert saved.read_bytes() == before


class Executed:
    """Runs a function where it is unpickled without a guard."""

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, ("raise SystemExit('a checkpoint was executed')",)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a checkpoint",
        [1, 2],
        {"weights": {}},
        {"model": {}, "train": {}},
        {"model": {}, "train": {}, "weights": None},
        {"model": None, "train": {}, "weights": {}},
        {"state_dict": {"backbone.conv1.weight": torch.zeros(1)}},
        Executed(),
    ],
)
def test_a_foreign_file_is_refused_and_never_executed(content: object, tmp_path: Path) -> None:
    path = tmp_path / "foreign.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"foreign\.pt is not a checkpoint of this project"):
        load_checkpoint(path)


def test_the_candidate_cut_is_read_under_its_earlier_name(
    trained: SoloNetwork, tmp_path: Path
) -> None:
    values = trained.config.to_dict()
    del values["candidate_threshold"]
    document = {"model": {**values, "score_threshold": 0.2}, "train": {"iterations": 1}}
    torch.save({**document, "weights": {}}, tmp_path / "earlier.pt")
    preset, _ = load_checkpoint(tmp_path / "earlier.pt")
    assert preset.model == replace(trained.config, candidate_threshold=0.2)


def test_a_recipe_of_a_later_version_is_refused(trained: SoloNetwork, tmp_path: Path) -> None:
    document = {
        "model": trained.config.to_dict(),
        "train": {"iterations": 1, "colour": "red"},
        "weights": {},
    }
    torch.save(document, tmp_path / "later.pt")
    with pytest.raises(CheckpointError, match="colour"):
        load_checkpoint(tmp_path / "later.pt")


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "vgg"},
        {"variant": "yolo"},
        {"norm": None},
        {"canvas_size": (64,)},
        {"levels": ()},
        {"levels": [{"pyramid": 9, "stride": 8, "num_grid": 8, "scale_range": (1, 2)}]},
        {"levels": [{"pyramid": 3, "stride": 7, "num_grid": 8, "scale_range": (1, 2)}]},
        {"levels": [{"pyramid": 3, "stride": 8, "num_grid": 0, "scale_range": (1, 2)}]},
        {"levels": [{"pyramid": 3, "stride": 8, "num_grid": 8, "scale_range": (2, 1)}]},
        {"fpn_channels": 10**9},
        {"head_channels": 8.5},
        {"stacked_convs": 0},
        {"sigma": "wide"},
        {"candidate_threshold": 1.5},
        {"mask_threshold": None},
    ],
    ids=str,
)
def test_a_configuration_that_makes_no_network_is_refused(
    change: dict[str, Any], trained: SoloNetwork, tmp_path: Path
) -> None:
    document = {
        "model": {**trained.config.to_dict(), **change},
        "train": {"iterations": 1},
        "weights": {},
    }
    torch.save(document, tmp_path / "odd.pt")
    with pytest.raises(CheckpointError, match=r"odd\.pt is not a checkpoint of this project"):
        load_network(tmp_path / "odd.pt")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is no checkpoint .*none\.pt"):
        load_checkpoint(tmp_path / "none.pt")


def test_the_first_key_that_does_not_fit_is_named(trained: SoloNetwork) -> None:
    def changed(**changes: Tensor | None) -> dict[str, Tensor]:
        state = {**trained.state_dict(), **{k.replace("__", "."): v for k, v in changes.items()}}
        return {key: value for key, value in state.items() if value is not None}

    network = seeded(tiny_config())
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"the weights lack 'fpn\.output\.1\.bias'"):
        load_weights(network, changed(head__kernel__bias=None, fpn__output__1__bias=None))
    with pytest.raises(CheckpointError, match=r"the network has no 'extra\.weight'"):
        load_weights(network, changed(extra__weight=torch.zeros(1)))
    with pytest.raises(
        CheckpointError, match=r"'fpn\.lateral\.0\.bias' is \[5\] in the weights, \[16\] in"
    ):
        load_weights(network, changed(fpn__lateral__0__bias=torch.zeros(5)))
    for odd in (
        torch.full((16,), float("nan")),
        torch.zeros(16, dtype=torch.complex64),
        torch.zeros(16).to_sparse(),
        "nothing",
    ):
        with pytest.raises(CheckpointError, match=r"'fpn\.lateral\.0\.bias' holds"):
            load_weights(network, changed(fpn__lateral__0__bias=cast(Tensor, odd)))
    # A refusal changes nothing.
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    load_weights(network, changed())
    name = "head.kernel.weight"
    assert torch.equal(network.state_dict()[name], trained.state_dict()[name])


def test_weights_of_another_configuration_are_refused(trained: SoloNetwork, tmp_path: Path) -> None:
    preset = Preset(tiny_config(mask_channels=32), tiny_preset().train)
    save_checkpoint(tmp_path / "mixed.pt", preset, {"weights": trained.state_dict()})
    with pytest.raises(CheckpointError, match=r"'head\.kernel\.weight' is \[16, 16, 3, 3\]"):
        load_network(tmp_path / "mixed.pt")


def test_fine_tuning_for_other_classes_keeps_all_but_the_category_layer(
    saved: Path, trained: SoloNetwork
) -> None:
    other = seeded(tiny_config(class_names=("a", "b", "c"), category_ids=(1, 2, 3)), seed=1)
    before = {key: value.clone() for key, value in other.state_dict().items()}
    fine_tune(other, saved)
    expected = trained.state_dict()
    for key, value in other.state_dict().items():
        own = key in ("head.category.weight", "head.category.bias")
        assert torch.equal(value, before[key] if own else expected[key]), key


def test_fine_tuning_for_as_many_classes_starts_from_all_weights(
    saved: Path, trained: SoloNetwork
) -> None:
    other = seeded(tiny_config(), seed=1)
    fine_tune(other, saved)
    expected = trained.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in other.state_dict().items())


def test_fine_tuning_from_another_architecture_is_refused(saved: Path) -> None:
    wider = seeded(tiny_config(head_channels=32, class_names=("a",), category_ids=(1,)))
    with pytest.raises(CheckpointError, match=r"'head\.category_tower\.0\.conv\.weight' is"):
        fine_tune(wider, saved)


def test_a_checkpoint_without_weights_is_refused(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "empty.pt", tiny_preset(), {"step": 1})
    with pytest.raises(CheckpointError, match=r"empty\.pt"):
        load_network(tmp_path / "empty.pt")
