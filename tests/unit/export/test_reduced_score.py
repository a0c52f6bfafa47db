"""Precision variants have a score of their own, or none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from export import half, quantize, reduced_precision
from export.films import load_canvases
from export.onnx_export import read_manifest
from export.score_graph import score_alone
from model.data.coco import load_coco
from solo.contract.manifest import OUT_OF_DISTRIBUTION_NAME, OUTPUT_NAMES
from tests.support.coco_folder import disc_folder
from tests.support.exported import scored

Command = Callable[[list[str]], int]
COMMANDS = pytest.mark.parametrize("command", [half.main, quantize.main], ids=["half", "int8"])


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(reduced_precision, "quality", lambda *_: {"ap": 0.5})
    path = tmp_path / "tiny.onnx"
    path.write_bytes(scored().model)
    return path


@COMMANDS
@pytest.mark.long
def test_it_is_fitted_on_the_variants_own_features(
    command: Command, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few, many = disc_folder(tmp_path / "few", 6), disc_folder(tmp_path / "many", 50)
    out = tmp_path / "out.onnx"
    given = [str(model), "--data", str(few), "--data", str(many), "--out", str(out)]
    assert command(given) == 0, capsys.readouterr().err
    said = capsys.readouterr().out
    assert "on 6 films: ap 0.5" in said  # compared on the first
    assert "fitted on 56 films of 50 patients" in said
    graph, entry = onnx.load(out), read_manifest(out).out_of_distribution
    onnx.checker.check_model(graph, full_check=True)
    assert [o.name for o in graph.graph.output] == [*OUTPUT_NAMES, OUT_OF_DISTRIBUTION_NAME]
    assert entry is not None
    assert entry.films == 56
    session = onnxruntime.InferenceSession(
        score_alone(graph).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    canvases = load_canvases([load_coco(many)], (64, 64))
    (ordinary,), (strange,) = (
        session.run(None, {"images": films}) for films in (canvases, 1 - canvases)
    )
    assert (ordinary < 1).mean() > 0.9
    assert np.median(strange) > np.median(ordinary)


@COMMANDS
def test_it_has_none_where_films_are_of_few_patients(
    command: Command, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.onnx"
    films = disc_folder(tmp_path / "few", 6)
    assert command([str(model), "--films", str(films), "--out", str(out)]) == 0
    assert "of 40 patients, and these are of 6" in capsys.readouterr().out
    assert [o.name for o in onnx.load(out).graph.output] == list(OUTPUT_NAMES)
    assert read_manifest(out).out_of_distribution is None
