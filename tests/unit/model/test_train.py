"""The training command from end to end, and its sentences where it cannot go on."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from datasets.phantom.__main__ import main as make_films
from model import train
from model.configuration.network import Level
from model.configuration.presets import PRESETS
from model.data.coco import CROWDS, load_coco
from model.data.seen_films import film_digests
from model.network.checkpoint import load_checkpoint, load_network, trained_films
from model.network.efficientnet_lite import imagenet_state_dict
from model.training.recipes import paper_recipe
from tests.support.coco_folder import SIZE, annotation, disc_folder, document, write
from tests.support.tiny import CATEGORIES, tiny_preset
from tests.support.training_command import command


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A preset that trains in seconds; the number of threads is the process's."""
    monkeypatch.setitem(PRESETS, "tiny", lambda categories: tiny_preset(3, categories))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def discs(tmp_path: Path) -> Path:
    return disc_folder(tmp_path / "discs", 4, empty=(2,))


def test_a_run_with_a_fold_held_out(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "runs" / "mine"
    assert command(discs, out, "--fold", "1", "--folds", "2") == 0
    preset, state = load_checkpoint(out / "checkpoint.pt")
    assert preset == tiny_preset(3)
    assert state["step"] == 3
    told = json.loads(capsys.readouterr().out)
    assert told.items() <= json.loads((out / "metrics.json").read_text()).items()
    assert [*(out / "tensorboard").iterdir()]
    assert told.keys() == {"ap", "ap50", "ap75", "dice", "right_count", "score_threshold"}
    assert all(0 <= value <= 1 for value in told.values())
    network = load_network(out / "checkpoint.pt")
    assert (network.config.class_names, network.config.category_ids) == CATEGORIES
    # It started from ImageNet: three steps change no weight by much.
    stem = imagenet_state_dict()["_conv_stem.weight"].sum(1, keepdim=True)
    torch.testing.assert_close(
        network.backbone.state_dict()["_conv_stem.weight"], stem, rtol=0, atol=0.01
    )


def test_the_same_command_goes_on_and_another_does_not(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(discs, tmp_path / "run", "--iterations", "1") == 0
    before = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    assert command(discs, tmp_path / "run", "--iterations", "1") == 0
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == before
    assert not (tmp_path / "run" / "metrics.json").exists()  # nothing was held out
    said = capsys.readouterr().err
    assert "checkpoint.pt is there already: going on from step 1" in said
    assert "No film is held out, so that nothing is measured" in said
    assert "before python -m export, complete" in said
    assert "nothing is left to do: all steps are made" in said
    assert command(discs, tmp_path / "run", "--iterations", "1", "--rate", "0.1") == 1
    assert "other settings: training.learning_rate (0.002 there, 0.1" in capsys.readouterr().err
    assert command(discs, tmp_path / "run", "--epochs", "1") == 0  # two steps of two for 4 films
    assert "a run of 1 steps goes on to 2: the learning rate" in capsys.readouterr().err


def test_crowds_alone_are_not_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films = {"film.png": np.zeros((80, 100), np.uint8)}
    data = write(tmp_path / "data", document(annotations=[annotation(iscrowd=1)]), films)
    assert command(data, tmp_path / "run") == 1
    assert capsys.readouterr().err.splitlines()[-1] == f"All objects are crowds. {CROWDS}"
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_resumed_on_other_films(discs: Path, tmp_path: Path) -> None:
    """Else the second fold would be measured on films that the first was trained on."""
    fold = ("--iterations", "1", "--folds", "2", "--fold")
    assert command(discs, tmp_path / "run", *fold, "0") == 0
    assert command(discs, tmp_path / "run", *fold, "1") == 1


@pytest.mark.parametrize("changed", ["outline", "class", "film"])
def test_a_run_is_not_resumed_where_films_or_outlines_changed(
    changed: str, discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(discs, tmp_path / "run", "--iterations", "1") == 0
    [file] = discs.glob("*.json")
    content = json.loads(file.read_text())
    entry = content["annotations"][0]
    if changed == "outline":
        entry["segmentation"][0][0] += 1
    elif changed == "class":
        others = {each["id"] for each in content["categories"]} - {entry["category_id"]}
        entry["category_id"] = others.pop()
    else:
        film = min(discs.rglob("*.png"))
        cv2.imwrite(str(film), np.zeros(SIZE, np.uint8))
    file.write_text(json.dumps(content))
    assert command(discs, tmp_path / "run", "--iterations", "2") == 1
    assert "films or outlines have changed since" in capsys.readouterr().err


def test_fine_tuning_starts_from_a_checkpoint(discs: Path, tmp_path: Path) -> None:
    assert command(discs, tmp_path / "first", "--iterations", "1", "--seed", "3") == 0
    weights = str(tmp_path / "first" / "checkpoint.pt")
    other = disc_folder(tmp_path / "other", 2, seed=6)
    more = ("--iterations", "1", "--weights", weights)
    assert command(other, tmp_path / "second", *more) == 0
    seen = trained_films(tmp_path / "first" / "checkpoint.pt")
    both = {*(seen or ()), *film_digests(load_coco(other)).values()}
    assert trained_films(tmp_path / "second" / "checkpoint.pt") == sorted(both)
    # The fold that is held out was trained on before.
    assert command(discs, tmp_path / "held", *more, "--fold", "0", "--folds", "2") == 1
    first, second = (load_network(tmp_path / run / "checkpoint.pt") for run in ("first", "second"))
    # A step of AdamW moves a weight by about the rate, 2e-3.
    torch.testing.assert_close(
        first.head.category.weight, second.head.category.weight, rtol=0, atol=5e-3
    )
    # The run keeps them, named or not.
    assert command(other, tmp_path / "second", "--iterations", "1") == 0
    config = tomllib.loads((tmp_path / "second" / "config.toml").read_text())
    assert config["weights"] == weights
    third = tmp_path / "third"
    assert command(discs, third, "--iterations", "1") == 0
    fresh = load_network(third / "checkpoint.pt").head.category.weight
    assert (fresh - first.head.category.weight).abs().max() > 1e-2


def test_a_measurement_that_is_replaced_is_told(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fold = ("--iterations", "1", "--fold", "0", "--folds", "2")
    assert command(discs, tmp_path / "run", *fold) == 0
    assert "is replaced" not in capsys.readouterr().err
    assert command(discs, tmp_path / "run", *fold) == 0
    assert "metrics.json is there already: it is replaced" in capsys.readouterr().err


def test_the_papers_recipe_in_fewer_bits_on_dicom_films(tmp_path: Path) -> None:
    made = ["geometry", "--scene", "overlapping", "--size", "64", "--format", "dicom"]
    assert make_films([*made, "--count", "3", "--out", str(tmp_path / "films")]) == 0
    recipe = ("--recipe", "1x", "--batch-size", "18", "--precision", "bfloat16")
    assert command(tmp_path / "films", tmp_path / "run", *recipe) == 0
    preset, state = load_checkpoint(tmp_path / "run" / "checkpoint.pt")
    assert preset.train == replace(paper_recipe("1x", 3, 18), precision="bfloat16")
    assert state["step"] == preset.train.iterations == 2


def test_films_may_be_trusted(discs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("all films were read")

    monkeypatch.setattr(train, "load_readable", refuse)
    assert command(discs, tmp_path / "run", "--iterations", "1", "--trust-films") == 0


def test_a_backbone_of_random_numbers_is_told(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--backbone", "resnet18", "--iterations", "1", "--batch-size", "1")
    assert command(discs, tmp_path / "run", *more) == 0
    said = capsys.readouterr().err
    assert "WARNING: resnet18 starts from random numbers" in said
    assert "1 steps of 1: 0.2 passes over 4 films" in said
    # A batch of 1 in place of 2: the square root of a half.
    assert "learning_rate is 0.00141 in place of 0.002, for a batch of 1 in place of 2" in said
    assert "a step takes about" in said


def test_its_own_file_repeats_a_run(discs: Path, tmp_path: Path) -> None:
    fold = ("--fold", "0", "--folds", "2")
    levels = ("--levels", "3:8:12:1:30", "4:16:6:25:200")
    changes = ("--canvas", "96", "--mirror", "0", "--min-area", "none", "--no-grey-values", *levels)
    assert command(discs, tmp_path / "one", "--epochs", "0.5", *fold, *changes) == 0
    config = tmp_path / "one" / "config.toml"
    again = ["--config", str(config), "--out", str(tmp_path / "two"), "--device", "cpu"]
    assert train.main([*again, "--threads", "1"]) == 0
    assert (tmp_path / "two" / "config.toml").read_text() == config.read_text()
    one, two = (load_checkpoint(tmp_path / run / "checkpoint.pt") for run in ("one", "two"))
    assert one[0] == two[0]
    assert one[0].model.canvas_size == (96, 96)
    assert one[0].model.levels[1] == Level(4, 16, 6, (25, 200))
    assert one[0].train.augmentation.mirror == 0
    assert not one[0].train.augmentation.grey_values
    assert one[1]["step"] == 1
    for key, value in one[1]["weights"].items():
        assert torch.equal(value, two[1]["weights"][key]), key


def test_a_data_sets_own_advice_is_taken_and_flags_override_it(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--data", str(discs), "--threads", "1", "--device", "cpu", "--out"]
    assert train.main([*given, str(tmp_path / "no")]) == 1
    assert "--preset or --config is missing: one of " in capsys.readouterr().err
    advice = discs / "training.toml"
    advice.write_text('preset = "tiny"\n[network]\nmax_instances = 7\nsigma = 0.3\n')
    assert train.main([*given, str(tmp_path / "run"), "--epochs", "0.5", "--sigma", "0.4"]) == 0
    assert f"the settings of {advice} are taken" in capsys.readouterr().err
    model = load_checkpoint(tmp_path / "run" / "checkpoint.pt")[0].model
    assert (model.max_instances, model.sigma) == (7, 0.4)
    advice.write_text('preset = "tiny"\n[network]\nsigmo = 0.3\n')
    assert train.main([*given, str(tmp_path / "run")]) == 1
    assert "[network] has no 'sigmo': is 'sigma' meant?" in capsys.readouterr().err
    assert command(discs, tmp_path / "x", "--preset", "crowded", "--iterations", "0") == 1


@pytest.mark.parametrize("name", ["valid", "validation"])
def test_split_folders_are_trained_and_validated_on(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for split, films in (("train", 4), (name, 2)):
        disc_folder(tmp_path / "export" / split, films, seed=films)
    assert command(tmp_path / "export", tmp_path / "run", "--epochs", "1") == 0
    assert "validated every 2 steps (1 pass) on 2 films" in capsys.readouterr().err
    rows = (tmp_path / "run" / "results.csv").read_text().splitlines()
    assert len(rows) == 2
    assert (tmp_path / "run" / "metrics.json").exists()


def test_of_epochs_and_iterations_the_command_line_counts(discs: Path, tmp_path: Path) -> None:
    config = tmp_path / "mine.toml"
    config.write_text('preset = "tiny"\n[training]\nepochs = 5\n')
    given = ["--config", str(config), "--data", str(discs), "--threads", "1", "--device", "cpu"]
    assert train.main([*given, "--iterations", "1", "--out", str(tmp_path / "run")]) == 0
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt")[1]["step"] == 1


def test_a_flag_for_other_films_overrides_the_files_fold(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config, other = tmp_path / "mine.toml", disc_folder(tmp_path / "other", 3, seed=6)
    config.write_text('preset = "tiny"\n[validation]\nfold = 0\nfolds = 2\n')
    given = ["--config", str(config), "--data", str(discs), "--threads", "1", "--device", "cpu"]
    given += ["--iterations", "1", "--val", str(other), "--out", str(tmp_path / "run")]
    assert train.main(given) == 0
    assert "pass) on 3 films" in capsys.readouterr().err
