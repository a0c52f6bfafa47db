"""Mistakes at the command that trains: a sentence each, and nothing half written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from model import train
from model.configuration.presets import PRESETS
from model.training.claim import claimed
from tests.support.coco_folder import annotation, disc_folder, document, write
from tests.support.tiny import tiny_preset
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
