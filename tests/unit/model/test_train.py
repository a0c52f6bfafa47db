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
from model.training.claim import claimed
from model.training.recipes import paper_recipe
from tests.support.coco_folder import SIZE, annotation, disc_folder, document, write
from tests.support.tiny import CATEGORIES, tiny_preset


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


def command(data: Path, out: Path, *more: str) -> int:
    given = ["--preset", "tiny", "--data", str(data), "--out", str(out), "--threads", "1"]
    return train.main([*given, "--device", "cpu", *more])


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


def test_a_broken_data_set_is_described(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = document(annotations=[annotation(segmentation=[[1, 1, 2, 2]])])
    assert command(write(tmp_path / "bad", content, {}), tmp_path / "run") == 1
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "annotation 70 of image 7: a polygon needs three or more x, y pairs, it has 4 numbers",
        "image 7: there is no file 'film.png'",
    ]
    assert not said.out
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--fold", "2", "--folds", "2"), "there is no fold 2 of 2"),
        (("--fold", "0", "--folds", "5"), "fold 0 of 5 has 0 of the 4 patients"),
        (("--batch-size", "0"), "batch_size must be 1 or more"),
        (("--iterations", "0"), "iterations must be 1 or more"),
        (("--threads", "0"), "--threads must be 1 or more"),
        (("--workers", "-1"), "--workers must be 0 or more"),
        (("--seed", "-1"), "seed must be 0 or more"),
        (("--epochs", "2", "--iterations", "3"), "epochs and iterations exclude each other"),
        (("--epochs", "0"), "epochs must be above 0"),
        (("--canvas", "70"), "(64, 64) is the nearest"),
        (("--batch-size", "4", "--accumulate", "3"), "accumulate may be 2"),
        (("--batch-size", "auto"), "finds the largest batch that a GPU's memory holds"),
        (("--canvas", "32", "--batch-size", "1"), "a canvas of 32 x 32 is a single pixel"),
        (("--save-every", "0"), "--save-every must be 1 or more"),
        (("--val", "x", "--fold", "0"), "val and fold exclude each other"),
        (("--patience", "3"), "need --val or --fold"),
        (("--config", "none.toml"), "none.toml: No such file"),
        (("--log", "mlflow"), "needs the package mlflow, which is not installed"),
        (("--backbone", "resnet18", "--frozen-backbone"), "would stay at random numbers"),
        (("--backbone", "resnet18", "--recipe", "1x"), "statistics that nothing has measured"),
        (("--device", "abacus"), "there is no device 'abacus' here"),
        (("--weights", "none.pt"), "there is no checkpoint none.pt"),
        (("--backbone-weights", "none.pth"), "none.pth"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    more: tuple[str, ...],
    sentence: str,
    discs: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command(discs, tmp_path / "run", *more) == 1
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said


def test_films_that_cannot_be_read_stop_it_before_the_first_step(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = (discs / "1.png").read_bytes()
    (discs / "1.png").write_bytes(cut[: len(cut) // 2])
    cv2.imwrite(str(discs / "3.png"), np.zeros((9, 8), np.uint8))
    path = discs / "annotations.json"
    content = json.loads(path.read_text())
    content["annotations"][0]["category_id"] = 5
    path.write_text(json.dumps(content))
    assert command(discs, tmp_path / "run") == 1
    assert capsys.readouterr().err.splitlines()[-3:] == [
        "annotation 0 of image 10: it is of category 5, which is not there",
        "image 11 cannot be decoded: 1.png: the PNG ends within a chunk: part of the file is "
        "missing",
        "image 13 is 9 x 8 pixels, its annotations are for 80 x 100",
    ]
    assert not (tmp_path / "run").exists()


def test_films_may_be_trusted(discs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("all films were read")

    monkeypatch.setattr(train, "load_readable", refuse)
    assert command(discs, tmp_path / "run", "--iterations", "1", "--trust-films") == 0


def test_an_interruption_is_a_sentence(
    discs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("model.training.trainer.Trainer.run", interrupt)
    assert command(discs, tmp_path / "run") == 130
    said = capsys.readouterr().err
    assert "interrupted: the same command goes on" in said
    assert "Traceback" not in said


def test_a_file_in_the_place_of_the_run_is_a_sentence(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run").write_text("in the way")
    assert command(discs, tmp_path / "run") == 1
    assert "run" in capsys.readouterr().err


def test_an_unknown_preset_is_a_usage_error(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        train.main(["--preset", "large", "--data", str(discs), "--out", str(tmp_path)])
    assert caught.value.code == 2
    assert "cxr-lungs" in capsys.readouterr().err


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


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (("--imgsz", "128"), "there is no --imgsz: is --canvas-size meant?"),
        (("--lr0=0.1",), "there is no --lr0: is --learning-rate meant?"),
        (("--weigths", "a"), "there is no --weigths: is --weights meant?"),
        (("--batch-size", "x"), "--batch-size: a whole number or auto is needed, not 'x'"),
        (("--epochs", "many"), "argument --epochs: invalid float value: 'many'"),
    ],
)
def test_a_wrong_flag_is_one_sentence(
    flags: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        train.main([*flags])
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert sentence in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('preset = "crowdd"', "not 'crowdd': is 'crowded' meant?"),
        ('preset = "tiny"\n[training]\nbatch_size = "auto"', "the command line, --batch-size auto"),
    ],
)
def test_a_wrong_value_of_a_file_is_told(
    text: str, sentence: str, discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "mine.toml"
    config.write_text(text)
    given = ["--config", str(config), "--data", str(discs), "--out", str(tmp_path / "run")]
    assert train.main([*given, "--device", "cpu", "--threads", "1"]) == 1
    assert sentence in capsys.readouterr().err


def test_two_runs_at_once_in_one_folder_are_refused(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with claimed(tmp_path / "run"):
        assert command(discs, tmp_path / "run", "--iterations", "1") == 1
    assert "another run writes into" in capsys.readouterr().err
    assert not [*(tmp_path / "run").iterdir()]
    assert command(discs, tmp_path / "run", "--iterations", "1") == 0


def test_a_place_where_nothing_can_be_written_is_told_before_films_are_read(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        assert command(discs, out) == 1
        said = capsys.readouterr().err
        assert f"{tmp_path / 'file'} is a file: --out must be a folder" in said
        assert "reading films" not in said


def test_a_number_of_folds_alone_is_no_validation(
    discs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(discs, tmp_path / "run", "--folds", "3") == 1
    assert "--folds needs --fold" in capsys.readouterr().err


def test_a_full_disk_is_a_sentence(
    discs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(document: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc:778] . unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", full)
    assert command(discs, tmp_path / "run", "--iterations", "1") == 1
    assert "checkpoint.pt cannot be written: is the disk full?" in capsys.readouterr().err
    assert not [*(tmp_path / "run").glob("*.pt*")]
