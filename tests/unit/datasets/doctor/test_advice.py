"""The doctor's training.toml: its reasons, its values, and that training takes them."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from datasets.doctor import __main__ as doctor
from model.configuration.presets import PRESETS, Categories
from model.configuration.recipe import Preset
from model.configuration.resolve import apply_layer
from model.configuration.toml_file import read_toml
from tests.support.coco_folder import annotation, disc_folder, document, write_unread
from tests.support.tiny import CATEGORIES, tiny_preset
from tests.unit.datasets.doctor.test_doctor import load, ring


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    def tiny(categories: Categories) -> Preset:
        preset = tiny_preset(3, categories)
        return replace(preset, model=replace(preset.model, max_instances=20))

    monkeypatch.setitem(PRESETS, "tiny", tiny)


def propose(data: Path) -> int:
    return doctor.main(["--data", str(data), "--preset", "tiny", "--propose"])


def test_what_fits_changes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = disc_folder(tmp_path / "discs", 3)
    assert propose(folder) == 0
    assert "training.toml has nothing but the preset's name" in capsys.readouterr().out
    assert tomllib.loads((folder / "training.toml").read_text()) == {"preset": "tiny"}
    assert propose(folder) == 1
    assert "training.toml is there already: nothing is over" in capsys.readouterr().err


def test_small_crowded_objects_need_a_canvas_levels_and_cells_of_their_own(
    tmp_path: Path,
) -> None:
    """Squares of 5 pixels in the middle of larger ones, on a canvas whose masks are 16 x 16."""
    squares = [
        {"segmentation": ring(x - inset, y - inset, 5 + 2 * inset)}
        for x in range(6, 60, 16)
        for y in range(6, 60, 16)
        for inset in (0, 3)
    ]
    load(tmp_path, *squares)
    assert propose(tmp_path) == 0
    path = tmp_path / "training.toml"
    content = tomllib.loads(path.read_text())
    assert path.read_text().count("\n# ") >= len(content["network"])  # a reason above each
    assert min(content["network"]["canvas_size"]) > 64
    assert content["network"]["shared_cells"] == "smallest"
    assert content["network"]["max_instances"] == len(squares)
    model = apply_layer(tiny_preset(), read_toml(path)).model
    assert list(model.canvas_size) == content["network"]["canvas_size"]
    assert (model.class_names, model.category_ids) == CATEGORIES


def test_the_folder_of_an_annotation_file_gets_it(tmp_path: Path) -> None:
    folder = disc_folder(tmp_path / "discs", 2)
    assert propose(folder / "annotations.json") == 0
    assert (folder / "training.toml").exists()


def test_faults_are_told_before_anything_is_written(tmp_path: Path) -> None:
    folder = write_unread(tmp_path / "bad", document(annotations=[annotation()]))
    assert propose(folder) == 1
    assert not (folder / "training.toml").exists()
