"""Validation while training: what is best, when to stop, what is left; it changes nothing."""

from __future__ import annotations

import csv
import json
import tomllib
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from model.configuration.network import ModelConfig
from model.data.coco import CocoDataset, DatasetError, load_coco
from model.evaluation import measure as measuring
from model.network.checkpoint import save_checkpoint
from model.network.heads import HeadOutputs
from model.network.solo_network import SoloNetwork
from model.training import validation
from model.training.about import TrainedOn
from model.training.tensorboard import RunLog
from model.training.trainer import Trainer
from model.training.validation import Validation, Verdict
from tests.support.coco_folder import annotation, disc_folder, document, image, write
from tests.support.tiny import lively, seeded, tiny_config, tiny_preset

VALUES = {"category": 0.5, "mask": 0.25, "gradient_norm": 3.0, "rate": 1e-3}


@pytest.fixture
def discs(tmp_path: Path) -> CocoDataset:
    return load_coco(disc_folder(tmp_path / "discs", 3))


@pytest.fixture
def network() -> SoloNetwork:
    return seeded(tiny_config())


def given(monkeypatch: pytest.MonkeyPatch, precisions: Sequence[float | None]) -> None:
    """Validations that measure these AP one after the other."""
    left = iter(precisions)
    rest: dict[str, Any] = {"ap50": 0.5, "ap75": 0.5, "dice": 0.5, "right_count": 0.5}
    monkeypatch.setattr(validation, "measure", lambda *_: {"ap": next(left), **rest})


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def run(watch: Validation, network: SoloNetwork, steps: Sequence[int]) -> list[Verdict]:
    return [watch.after(step, step / 4, VALUES, network) for step in steps]


@pytest.mark.parametrize(
    ("precisions", "best", "stop"),
    [
        ((0.1, 0.3, 0.2, 0.1), "01 ", " 3"),
        ((0.1, 0.1, 0.1), "0", "2"),  # as good is not better
        ((0.0, None, 0.0, 0.2, 0.1), "3", ""),  # what finds nothing is never the best
        ((0.5, 0.4, 0.6, 0.5, 0.4), "02", "4"),
        ((0.5, None, 0.0), "0", "2"),
    ],
)
def test_the_best_is_better_than_all_before_and_patience_ends(
    precisions: Sequence[float | None],
    best: str,
    stop: str,
    discs: CocoDataset,
    network: SoloNetwork,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given(monkeypatch, precisions)
    watch = Validation(discs, every=4, patience=2, out=tmp_path / "run")
    verdicts = run(watch, network, range(4, 4 + 4 * len(precisions), 4))
    assert [i for i, verdict in enumerate(verdicts) if verdict.is_best] == list(
        map(int, best.strip())
    )
    assert [i for i, verdict in enumerate(verdicts) if verdict.stop] == list(map(int, stop.strip()))
    assert [int(row["best"]) for row in rows(tmp_path / "run")] == [v.is_best for v in verdicts]


def test_without_patience_it_never_stops(
    discs: CocoDataset, network: SoloNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch, [0.5] + [0.1] * 50)
    watch = Validation(discs, 1, None, tmp_path)
    assert not any(verdict.stop for verdict in run(watch, network, range(51)))


def test_each_row_has_what_was_measured(discs: CocoDataset, tmp_path: Path) -> None:
    network = lively(tiny_config())
    run(Validation(discs, 10, None, tmp_path), network, [10, 20])
    found = rows(tmp_path)
    assert [row["step"] for row in found] == ["10", "20"]
    assert [row["passes"] for row in found] == ["2.5", "5.0"]
    expected = measuring.measure(discs, measuring.predict(network, discs))
    for row in found:
        assert {name: float(row[name]) for name in VALUES} == VALUES
        assert {name: float(row[name]) for name in expected} == pytest.approx(expected)


def test_a_resumed_run_leaves_the_rows_of_an_unbroken_one(
    discs: CocoDataset, network: SoloNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    precisions = [0.1, 0.4, 0.2, 0.3]
    given(monkeypatch, precisions)
    unbroken = Validation(discs, 10, 2, tmp_path / "unbroken")
    expected = run(unbroken, network, [10, 20, 30, 40])
    given(monkeypatch, precisions[:3])
    broken = Validation(discs, 10, 2, tmp_path / "broken")
    run(broken, network, [10, 20])
    torch.save(broken.state(), tmp_path / "state.pt")
    run(broken, network, [30])  # lost: it is after the checkpoint
    resumed = Validation(discs, 10, 2, tmp_path / "broken")
    resumed.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    given(monkeypatch, precisions[2:])
    assert run(resumed, network, [30, 40]) == expected[2:]
    assert resumed.state() == unbroken.state()
    assert (tmp_path / "broken" / "results.csv").read_bytes() == (
        tmp_path / "unbroken" / "results.csv"
    ).read_bytes()


def test_films_without_objects_are_refused(tmp_path: Path) -> None:
    films = {"film.png": np.zeros((80, 100), np.uint8)}
    for number, entries in enumerate(([], [annotation(iscrowd=1)])):
        data = load_coco(write(tmp_path / str(number), document(annotations=entries), films))
        with pytest.raises(DatasetError, match="No validation film shows an object"):
            Validation(data, 1, None, tmp_path)


def test_films_of_other_classes_are_refused_before_the_first_step(
    discs: CocoDataset, tmp_path: Path
) -> None:
    categories = [{"id": 3, "name": "disc"}, {"id": 9, "name": "heart"}]
    films = {"film.png": np.zeros((80, 100), np.uint8)}
    data = load_coco(write(tmp_path / "hearts", document(categories=categories), films))
    with pytest.raises(
        ValueError, match="classes are disc, square, the data set's are disc, heart"
    ):
        Validation(data, 1, None, tmp_path, TrainedOn("tiny", ("discs",), discs))


class Watching(RunLog):
    """Validates after each step."""

    def __init__(self, trainer: Trainer, watch: Validation, network: str) -> None:
        self.trainer, self.watch, self.name = trainer, watch, network

    def pictures(self, *_: object) -> None:
        pass

    def scalars(self, step: int, values: dict[str, float]) -> None:
        # Random numbers of training might be torch's too.
        torch.rand(1)
        network = getattr(self.trainer, self.name)
        modes = [module.training for module in network.modules()]
        before = torch.random.get_rng_state()
        self.watch.after(step, step / 2, values, network)
        assert torch.equal(torch.random.get_rng_state(), before)
        assert [module.training for module in network.modules()] == modes


@pytest.mark.parametrize("validated", ["averaged", "network"])
def test_a_run_with_validation_ends_with_the_same_weights(
    validated: str, discs: CocoDataset, tmp_path: Path
) -> None:
    ends: list[dict[str, Tensor]] = []
    for watched in (False, True):
        preset = tiny_preset(4)
        trainer = Trainer(seeded(preset.model), preset, discs, seed=3)
        log = Watching(trainer, Validation(discs, 1, None, tmp_path), validated)
        trainer.run(tmp_path / "checkpoint.pt", log=log if watched else None)
        last = {f"last.{key}": value for key, value in trainer.network.state_dict().items()}
        ends.append({**trainer.average.state_dict(), **last})
    assert ends[0].keys() == ends[1].keys()
    assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])
    assert len(rows(tmp_path)) == 4


def test_the_end_is_told_of_the_best_weights(
    discs: CocoDataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The network given is the last one, which finds nothing here."""
    preset = tiny_preset(1)
    best, last = lively(preset.model), seeded(preset.model)
    out = tmp_path / "mine"
    watch = Validation(discs, 1, None, out, TrainedOn("tiny", ("discs",), discs))
    given(monkeypatch, [0.5, 0.0])
    run(watch, best, [1, 2])
    save_checkpoint(out / "best.pt", preset, {"weights": best.state_dict()})
    watch.finish(last)
    written = json.loads((out / "metrics.json").read_text())
    said = capsys.readouterr()
    assert json.loads(said.out).items() <= written.items()
    assert f"complete {out / 'about.toml'}" in said.err
    expected, _ = measuring.assess(discs, measuring.predict(best, discs), None, 0.1)
    assert written == expected.to_dict()
    assert json.loads((out / "thresholds.json").read_text()) == written["proposed"]
    about = tomllib.loads((out / "about.toml").read_text())
    assert about["metrics"]["dice"] == pytest.approx(written["dice"], abs=1e-4)
    assert "3 films of 3 patients, 3 objects, 3 of them trained on" in about["metrics_on"]
    assert "the checkpoint" in about["metrics_on"]
    for name in ("curves", "precision_recall", "confusion", "worst/worst-01"):
        assert cv2.imread(str(out / f"{name}.png")) is not None
    watch.finish(last)  # once more: the same command was given again
    assert len([*(out / "worst").iterdir()]) == 3


def test_an_older_best_checkpoint_is_none_of_a_run_that_found_nothing(
    discs: CocoDataset, network: SoloNetwork, tmp_path: Path
) -> None:
    save_checkpoint(
        tmp_path / "best.pt", tiny_preset(1), {"weights": lively(tiny_config()).state_dict()}
    )
    Validation(discs, 1, None, tmp_path).finish(network)
    assert json.loads((tmp_path / "metrics.json").read_text())["dice"] == 0
    assert json.loads((tmp_path / "thresholds.json").read_text()) is None


def test_masks_of_large_films_do_not_pile_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred masks of 2 megapixels, in each of three films, in the room of a few."""

    def hundred(outputs: HeadOutputs, config: ModelConfig) -> tuple[Tensor, Tensor, Tensor]:
        masks = torch.zeros(1, 100, 16, 16, dtype=torch.uint8)
        masks[:, :, 4:12, 4:12] = 255
        return torch.linspace(0.9, 0.2, 100)[None], torch.arange(100)[None] % 2, masks

    monkeypatch.setattr(measuring, "find_instances", hundred)
    side = 1400
    names = [f"{i}.png" for i in range(3)]
    entries = [image(id=i, file_name=n, height=side, width=side) for i, n in enumerate(names)]
    ring = [[350, 350, 1050, 350, 1050, 1050, 350, 1050]]
    objects = [annotation(id=i, image_id=i, segmentation=ring) for i in range(3)]
    films = {name: np.full((side, side), 90, np.uint8) for name in names}
    data = load_coco(
        write(tmp_path / "large", document(images=entries, annotations=objects), films)
    )
    watch, network = Validation(data, 1, None, tmp_path), seeded(tiny_config())
    tracemalloc.start()
    try:
        watch.after(1, 1, VALUES, network)
        watch.finish(network)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20 * side * side  # bytes; one film's masks alone were 100 times that
