"""Outlines beside their objects: the figures of the tables, on masks whose answer is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from experiments.outlines.__main__ import main
from experiments.outlines.islands import Piece, removals, smaller_pieces
from experiments.outlines.judged import Judged, judge
from experiments.outlines.uncertainty import MEASURES, pearson, spearman
from model.data.coco import load_coco
from solo.contract.letterbox import Letterbox
from tests.support.coco_folder import compressed, disc_folder, rectangle_mask
from tests.support.engines import manifest, write_tiny_model
from tests.support.tiny import CATEGORIES


@pytest.fixture
def model(tmp_path: Path) -> Path:
    names, ids = CATEGORIES
    return write_tiny_model(tmp_path / "model.onnx", manifest(class_names=names, category_ids=ids))


def judged() -> Judged:
    """Two pieces beside a rectangle of 10 x 4 mask pixels, on a film of the canvas's size."""
    soft = np.zeros((20, 25), np.uint8)
    soft[2:12, 3:7] = 255
    soft[2, 9:11] = 255  # two pixels further
    soft[18, 20] = 255
    truth = compressed(rectangle_mask(8, 12, 48, 28))
    box = Letterbox.fit((80, 100), (80, 100))
    return Judged("a.png", "disc", 0.7, soft, box, truth, 0.9)


def test_pieces_and_what_is_gained_without_them() -> None:
    assert list(smaller_pieces(judged(), 0.5)) == [Piece(2, 2), Piece(1, 13)]
    (removal,) = removals([judged()], 4, 0.5)
    assert removal.pixels == 1
    assert 0.93 < removal.dice < 1
    assert removal.gain == removal.dice - 0.9


def test_instances_meet_the_objects_of_their_class(model: Path, tmp_path: Path) -> None:
    _, films = judge(model, load_coco(disc_folder(tmp_path / "films", 3)))
    for disc, rest in films:
        assert (disc.name, rest.name) == CATEGORIES[0]
        assert disc.dice > 0.95
        assert (rest.truth, rest.dice) == (None, 0)
        assert all(np.isfinite(measure(disc, 0.5)) for measure in MEASURES.values())


def test_correlations() -> None:
    values, squares = np.array([1.0, 2, 3, 4]), np.array([1.0, 4, 9, 16])
    assert pearson(values, squares) == pytest.approx(0.98437, abs=1e-5)
    assert spearman(values, -squares) == pytest.approx(-1)
    # Ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4
    tied = np.array([1.0, 2, 2, 3])
    assert spearman(tied, values) == pytest.approx(4.5 / (4.5 * 5) ** 0.5)


def test_the_command_prints_its_tables(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(model), "--data", str(disc_folder(tmp_path / "films", 6))]) == 0
    printed = capsys.readouterr().out
    assert "12 instances" in printed
    for heading in ("| outline_uncertainty |", "| 13 or more |", "| 12 | 0 | 0 | 0 |"):
        assert heading in printed
    assert main([str(tmp_path / "absent.onnx"), "--data", str(tmp_path / "films")]) == 1
    assert "absent.onnx" in capsys.readouterr().err
