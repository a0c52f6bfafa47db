"""Evaluation refuses the films of the training, from the command line to the exported file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from export.onnx_export import as_metadata
from model import evaluate, train
from model.configuration.recipe import Preset
from model.data.coco import CocoDataset, load_coco
from model.data.seen_films import film_digests, require_apart
from model.data.split import split_by_patient
from model.network.checkpoint import keep_weights, load_checkpoint, save_checkpoint, trained_films
from model.network.solo_network import SoloNetwork
from model.training.trainer import Trainer
from model.training.validation import Verdict
from tests.support.coco_folder import disc_folder
from tests.support.tiny import lively, seeded, tiny_config, tiny_preset


@pytest.fixture
def discs(tmp_path: Path) -> Path:
    return disc_folder(tmp_path / "discs", 6)


def checkpoint(path: Path, data: CocoDataset | None) -> Path:
    """A network that finds something, and the films that it says to be trained on."""
    path.parent.mkdir(parents=True, exist_ok=True)
    preset: Preset = tiny_preset()
    state = {"weights": lively(tiny_config()).state_dict()}
    films = {} if data is None else {"trained_films": sorted(film_digests(data).values())}
    save_checkpoint(path, preset, {**state, **films})
    return path


def command(*arguments: object) -> int:
    return evaluate.main([*map(str, arguments), "--device", "cpu"])


def test_films_of_the_training_are_measured_when_asked_for_alone(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = load_coco(discs)
    train, held_out = split_by_patient(data, 1, 2)
    path = checkpoint(tmp_path / "run" / "checkpoint.pt", train)
    assert command(path, "--data", discs, "--fold", "1", "--folds", "2") == 0
    assert json.loads(capsys.readouterr().out)["films"] == len(held_out.images)
    for more in ([], ["--fold", "0", "--folds", "2"]):
        assert command(path, "--data", discs, *more) == 1
        said = capsys.readouterr()
        assert f"was trained on {len(train.images)} of these" in said.err
        assert not said.out
    assert command(path, "--data", discs, "--seen-films") == 0
    assert json.loads(capsys.readouterr().out)["films"] == 6


def test_in_a_cross_validation_each_network_answers_for_its_fold(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = load_coco(discs)
    paths = [
        checkpoint(tmp_path / f"{fold}.pt", split_by_patient(data, fold, 2)[0]) for fold in range(2)
    ]
    assert command(*paths, "--data", discs, "--folds", "2") == 0
    assert command(*paths[::-1], "--data", discs, "--folds", "2") == 1
    assert "1.pt was trained on" in capsys.readouterr().err


def test_a_checkpoint_that_does_not_say_is_told_of(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = checkpoint(tmp_path / "old.pt", None)
    assert command(path, "--data", discs) == 0
    assert "old.pt does not say which films it was trained on" in capsys.readouterr().err


def test_a_run_keeps_its_films_and_those_of_the_weights_it_started_from(
    discs: Path, tmp_path: Path
) -> None:
    data = load_coco(discs)
    digests = list(film_digests(data).values())
    preset = tiny_preset(1)
    trainer = Trainer(seeded(preset.model), preset, data.subset(data.images[:2]), seed=0)
    trainer.seen_before = (digests[5],)
    trainer.run(tmp_path / "checkpoint.pt")
    assert trained_films(tmp_path / "checkpoint.pt") == sorted([*digests[:2], digests[5]])
    keep_weights(tmp_path / "checkpoint.pt", tmp_path / "weights.pt")
    assert trained_films(tmp_path / "weights.pt") == sorted([*digests[:2], digests[5]])
    assert as_metadata(digests[:2]) == {"trained_films": f"{digests[0]} {digests[1]}"}
    assert as_metadata(None) == {}
    resumed = Trainer(seeded(preset.model), preset, data.subset(data.images[:2]), seed=0)
    resumed.resume(tmp_path / "checkpoint.pt")
    assert set(resumed.seen_before) >= {digests[5]}
    assert "patient" not in str(load_checkpoint(tmp_path / "checkpoint.pt")[1].keys())


class FirstIsBest:
    """A validation that takes the first network for the best."""

    every = 1

    def after(self, *_: object) -> Verdict:
        return Verdict(is_best=True, stop=False)

    def state(self) -> dict[str, object]:
        return {}

    def restore(self, state: dict[str, object]) -> None:
        """There is nothing to go on from."""

    def finish(self, network: SoloNetwork) -> None:
        """Writes nothing."""


def test_the_best_checkpoint_says_its_films_too(discs: Path, tmp_path: Path) -> None:
    data = load_coco(discs)
    preset = tiny_preset(1)
    trainer = Trainer(seeded(preset.model), preset, data.subset(data.images[:2]), seed=0)
    trainer.run(tmp_path / "checkpoint.pt", validation=FirstIsBest())
    own = trained_films(tmp_path / "checkpoint.pt")
    assert own
    assert trained_films(tmp_path / "best.pt") == own
    assert command(tmp_path / "best.pt", "--data", discs) == 1


@pytest.mark.parametrize("how", ["the same folder", "a copy", "weights"])
def test_films_to_validate_on_are_not_trained_on(
    how: str, discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = disc_folder(tmp_path / "other", 2, seed=6)
    val, more = discs, list[str]()
    if how == "a copy":
        val = disc_folder(tmp_path / "val", 2, seed=6)
        (val / "0.png").write_bytes((discs / "3.png").read_bytes())
    if how == "weights":
        val = other
        more = ["--weights", str(checkpoint(tmp_path / "w.pt", load_coco(other)))]
    options = ["--preset", "cxr-lungs", "--iterations", "1", "--canvas", "64", "--device", "cpu"]
    where = ["--data", str(discs), "--val", str(val), "--out", str(tmp_path / "run")]
    assert train.main([*options, *where, *more]) == 1
    said = capsys.readouterr().err
    wanted = {
        "the same folder": "6 of the 6 films to validate on are trained on too",
        "a copy": "1 of the 2 films to validate on are trained on too",
        "weights": "w.pt was trained on 2 of these 2 films",
    }
    assert wanted[how] in said
    assert not (tmp_path / "run").exists()


def test_copies_of_a_film_on_both_sides_of_a_fold_are_refused(discs: Path) -> None:
    data = load_coco(discs)
    copies = data.images[0].path.read_bytes()
    data.images[1].path.write_bytes(copies)
    train_part, held_out = data.subset(data.images[1:]), data.subset(data.images[:1])
    with pytest.raises(ValueError, match=r"1 of the 1 films .* the same patient_id"):
        require_apart(train_part, held_out)
    require_apart(data.subset(data.images[2:]), held_out)
