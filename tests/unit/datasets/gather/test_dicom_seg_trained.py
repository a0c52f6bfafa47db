"""The way around: a film segmented into a SEG, gathered, and trained on; as a folder and a zip."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from datasets.gather.__main__ import main as gather
from model import train
from model.configuration.presets import PRESETS
from model.data.coco import load_coco
from model.network.checkpoint import load_checkpoint
from solo.command.main import main as segment
from tests.support.tiny import tiny_preset

CHEST = Path(__file__).parents[4] / "examples" / "chest.dcm"


@pytest.fixture(scope="module")
def segmented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the film in `films/` and what the bundled model found in `found/`."""
    folder = tmp_path_factory.mktemp("archive")
    (folder / "films").mkdir()
    shutil.copyfile(CHEST, folder / "films" / "IM000001")
    given = [str(folder / "films"), "--out", str(folder / "found"), "--cores", "1"]
    assert segment([*given, "--format", "coco,seg"]) == 0
    return folder


@pytest.mark.parametrize("is_zip", [False, True])
@pytest.mark.long
def test_what_was_found_is_what_is_trained_on(
    segmented: Path, tmp_path: Path, is_zip: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = json.loads((segmented / "found" / "annotations.json").read_text())
    source = tmp_path / "in"
    shutil.copytree(segmented, source, ignore=shutil.ignore_patterns("*.json*"))
    if is_zip:
        source = Path(shutil.make_archive(str(source), "zip", source))
    out = tmp_path / "out"
    assert gather([str(source), "--out", str(out)]) == 0
    data = load_coco(out)
    (record,) = data.images
    found = {item.rle["counts"].decode() for item in record.annotations if item.rle}
    assert found == {entry["segmentation"]["counts"] for entry in told["annotations"]}
    assert data.class_names == ("lung",)
    (image,) = told["images"]
    assert list(record.spacing_mm or ()) == image.get("pixel_spacing_mm", [])
    assert record.path.read_bytes() == CHEST.read_bytes()
    if is_zip:
        return  # as a folder it is the same data set

    monkeypatch.setitem(PRESETS, "tiny", lambda categories: tiny_preset(2, categories))
    options = ["--device", "cpu", "--threads", str(torch.get_num_threads())]
    run = ["--preset", "tiny", "--data", str(out), "--out", str(tmp_path / "run")]
    assert train.main([*run, *options]) == 0
    assert load_checkpoint(tmp_path / "run" / "checkpoint.pt")[1]["step"] == 2


def test_a_data_set_in_coco_stays_one_though_it_has_seg_objects(
    segmented: Path, tmp_path: Path
) -> None:
    assert gather([str(segmented / "found"), "--out", str(tmp_path / "out")]) == 0
    (record,) = load_coco(tmp_path / "out").images
    assert record.path.name == "IM000001"  # as COCO films keep their names
