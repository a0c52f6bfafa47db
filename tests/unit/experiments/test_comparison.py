"""The comparison: how each network's answer becomes instances, and that all go the same way."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from experiments.comparison.__main__ import main, resized
from experiments.comparison.components import class_maps, find_components
from experiments.comparison.entrants import ENTRANTS, EntrantName, enter
from experiments.comparison.queries import read_queries
from experiments.comparison.race import Course, count_weights, run, teach
from experiments.comparison.solo import Solo
from model.configuration.presets import PRESETS
from model.data.coco import load_coco
from model.data.objects import Objects
from solo.contract.instances import Instances
from tests.support.coco_folder import disc_folder
from tests.support.tiny import CATEGORIES, tiny_config

LIBRARIES: dict[EntrantName, str] = {"unet": "monai", "mask2former": "transformers"}


def maps_of(
    *rectangles: tuple[int, int, int, int, int, float],
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Two class maps of 40 x 50 with (class, top, left, bottom, right, probability)."""
    maps = np.full((2, 40, 50), 0.1, np.float32)
    for label, top, left, bottom, right, probability in rectangles:
        maps[label, top:bottom, left:right] = probability
    return maps


def test_components_are_instances_best_first() -> None:
    found = find_components(maps_of((0, 2, 2, 10, 10, 0.8), (0, 20, 20, 30, 30, 0.9)))
    assert found.labels.tolist() == [0, 0]
    assert found.scores.tolist() == pytest.approx([0.9, 0.8])
    assert (found.masks[0] > 127).sum() == 100
    assert (found.masks[1] == 204).sum() == 64
    assert set(np.unique(found.masks)) == {0, 204, 230}


def test_classes_overlap_and_touching_neighbours_are_one() -> None:
    crossing = find_components(maps_of((0, 5, 5, 15, 15, 0.9), (1, 10, 10, 20, 20, 0.8)))
    assert crossing.labels.tolist() == [0, 1]
    touching = find_components(maps_of((0, 5, 5, 15, 15, 0.9), (0, 15, 15, 25, 25, 0.7)))
    assert len(touching) == 1
    assert touching.scores[0] == pytest.approx(0.8)


def test_noise_and_nothing_are_no_instances() -> None:
    assert len(find_components(maps_of((1, 5, 5, 8, 10, 0.9)))) == 0
    assert len(find_components(maps_of())) == 0


def test_class_maps_join_the_objects_of_a_class() -> None:
    masks = torch.zeros((3, 8, 8), dtype=torch.uint8)
    masks[0, :2], masks[1, 1:4], masks[2, 6:] = 255, 128, 127
    maps = class_maps(Objects(masks, torch.zeros(3, 4), torch.tensor([1, 1, 0])), 2)
    assert maps.sum((1, 2)).tolist() == [0, 32]
    nothing = Objects(masks[:0], torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64))
    assert not class_maps(nothing, 2).any()


def test_queries_answer_by_class_and_certainty() -> None:
    # Softmax of ln p is p: the second query is the surer of its class, but not of its mask.
    class_logits = torch.tensor([[0.6, 0.1, 0.3], [0.1, 0.7, 0.2]]).log()
    mask_logits = torch.full((2, 4, 4), -9.0)
    mask_logits[0, :2], mask_logits[1, 2:] = 9.0, 0.2
    found = read_queries(class_logits, mask_logits)
    sure, unsure = torch.tensor([9.0, 0.2]).sigmoid().tolist()
    assert found.labels.tolist() == [0, 1, 1, 0]
    assert found.scores.tolist() == pytest.approx(
        [0.6 * sure, 0.7 * unsure, 0.1 * sure, 0.1 * unsure]
    )
    assert (found.masks[0, :2] == 255).all()
    assert (found.masks[1, 2:] == round(255 * unsure)).all()
    assert not found.masks[0, 2:].any()


class Oracle:
    """Sees a disc as what is bright; its only weight learns to be 1."""

    learning_rate = 0.1

    def __init__(self) -> None:
        self.network = nn.Linear(1, 1, bias=False)
        self.losses: list[float] = []

    def loss(self, images: Tensor, batch: list[Objects]) -> Tensor:
        loss: Tensor = (self.network(torch.ones(1)) - 1).square().sum()
        self.losses.append(float(loss.detach()))
        return loss

    def find(self, canvas: Tensor) -> Instances:
        return find_components((0.9 * (canvas[0] > 0.5)).numpy())


def test_whoever_sees_the_discs_scores_high(tmp_path: Path) -> None:
    films = load_coco(disc_folder(tmp_path / "films", 3))
    oracle = Oracle()
    result = run(oracle, films, films, Course((160, 160), steps=30, batch_size=2, seed=0))
    assert result.ap is not None
    assert result.ap > 0.9
    assert result.dice == pytest.approx(1, abs=0.03)
    assert result.weights == 1
    assert result.latency_seconds > 0
    assert oracle.losses[-1] < oracle.losses[0] / 10
    assert len(oracle.losses) == 30


def test_solo_learns_and_answers_within_its_canvas(tmp_path: Path) -> None:
    films = load_coco(disc_folder(tmp_path / "films", 3, empty=(1,)))
    config = tiny_config()
    torch.manual_seed(0)
    solo = Solo(config)
    before = {name: tensor.clone() for name, tensor in solo.network.named_parameters()}
    assert teach(solo, films, Course(config.canvas_size, steps=2, batch_size=3, seed=0)) > 0
    assert any(not torch.equal(before[n], p) for n, p in solo.network.named_parameters())
    solo.network.eval()
    with torch.inference_mode():
        assert solo.find(torch.rand(1, 1, 64, 64)).masks.shape[1:] == (16, 16)


def test_a_loss_that_is_not_finite_stops_the_race(tmp_path: Path) -> None:
    class Broken(Oracle):
        def loss(self, images: Tensor, batch: list[Objects]) -> Tensor:
            return super().loss(images, batch) * torch.nan

    films = load_coco(disc_folder(tmp_path / "films", 2))
    with pytest.raises(ValueError, match="not finite at step 0"):
        teach(Broken(), films, Course((64, 64), steps=2, batch_size=1, seed=0))


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_others_are_as_large_and_go_the_same_way(name: EntrantName, tmp_path: Path) -> None:
    pytest.importorskip(LIBRARIES[name])
    films = load_coco(disc_folder(tmp_path / "films", 3, empty=(1,)))
    config = tiny_config()
    contender = enter(name, config, seed=0)
    own = count_weights(enter("solo", config, seed=0).network)
    assert count_weights(contender.network) == pytest.approx(own, rel=0.3)
    result = run(contender, films, films, Course((64, 64), steps=1, batch_size=3, seed=0))
    assert result.ap is not None
    one, other = (enter(name, config, seed=0).network.state_dict() for _ in "ab")
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_imagenet_weights_are_what_sets_one_entrant_apart() -> None:
    config = tiny_config(backbone="efficientnet_lite0")
    plain, taught = (enter(name, config, seed=0).network.state_dict() for name in ENTRANTS[::3])
    differing = {key.partition(".")[0] for key in plain if not torch.equal(plain[key], taught[key])}
    assert differing == {"backbone"}


def command(folder: Path, *more: str) -> list[str]:
    films = str(folder / "films")
    return [
        *("--preset", "cxr-lungs", "--data", films, "--networks", "solo", "--threads", "1"),
        *("--batch-size", "1", "--out", str(folder / "out"), *more),
    ]


def test_the_command_prints_a_table_and_trains_nobody_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films = disc_folder(tmp_path / "films", 2)
    arguments = command(tmp_path, "--test", str(films), "--steps", "1")
    assert main(arguments) == 0
    first = capsys.readouterr().out
    lines = first.splitlines()
    assert len(lines) == 3
    figures = json.loads((tmp_path / "out" / "solo.json").read_text())["figures"]
    cells = lines[2].strip("| ").split(" | ")
    assert cells[:3] == ["solo", str(figures["weights"]), f"{figures['weights'] / 250_000:.1f}"]
    assert main(arguments) == 0
    again = capsys.readouterr()
    assert again.out == first
    assert "solo is not trained again" in again.err
    assert main([*arguments[:-1], "2"]) == 1
    assert "other settings" in capsys.readouterr().err


def test_a_smaller_canvas_keeps_the_cells_pixels() -> None:
    model = PRESETS["thorax-anatomy"]((("ball",), (1,))).model

    small = resized(model, 256)

    assert small.canvas_size == (256, 256)
    assert [level.num_grid * level.stride for level in small.levels] == [256, 256]
    assert small.levels[0].scale_range == pytest.approx((2 / 3, 128 * 2 / 3))


def test_other_classes_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    disc_folder(tmp_path / "films", 1)
    other = disc_folder(tmp_path / "other", 1)
    path = other / "annotations.json"
    path.write_text(path.read_text().replace(CATEGORIES[0][0], "ball"), encoding="utf-8")
    assert main(command(tmp_path, "--test", str(other))) == 1
    assert "has other classes" in capsys.readouterr().err


def test_a_fold_of_patients_is_held_out(tmp_path: Path) -> None:
    disc_folder(tmp_path / "films", 4)
    assert main(command(tmp_path, "--fold", "0", "--folds", "2", "--steps", "1")) == 0
    train, test = json.loads((tmp_path / "out" / "solo.json").read_text())["settings"]["films"]
    assert len(train) == len(test) == 2
    assert sorted(train + test) == ["0.png", "1.png", "2.png", "3.png"]


def test_a_missing_library_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    films = disc_folder(tmp_path / "films", 1)
    monkeypatch.setitem(sys.modules, "experiments.comparison.unet", None)
    assert main([*command(tmp_path, "--test", str(films)), "--networks", "unet"]) == 1
    assert "the libraries of the group `compare` are needed" in capsys.readouterr().err
