"""about.toml: what the run knows, what is left to fill in, and that export takes it then."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from export.onnx_export import describe_network, read_about
from model.data.coco import CocoDataset, load_coco
from model.evaluation.measure import assess
from model.evaluation.quality import Quality
from model.training.about import TrainedOn, describe_films, write_about
from solo.contract.manifest import Manifest, ManifestError
from tests.support.coco_folder import disc_folder, document, image, write_unread
from tests.support.scenes import scene
from tests.support.tiny import seeded, tiny_config

GAPS = ("training_data", "licence", "attribution")


@pytest.fixture
def films(tmp_path: Path) -> CocoDataset:
    return load_coco(disc_folder(tmp_path / "films", 3))


@pytest.fixture
def quality(tmp_path: Path) -> Quality:
    found = [[((0, 0, 20), 1, 0.9), ((50, 40, 20), 1, 0.5)]]
    data, predictions, _ = scene(tmp_path / "scene", [[((0, 0, 20), 1)]], found)
    return assess(data, predictions, None)[0]


def read(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def filled(path: Path) -> Path:
    text = path.read_text(encoding="utf-8")
    for gap in GAPS:
        text = text.replace(f'{gap} = ""', f'{gap} = "said by hand"')
    path.write_text(text, encoding="utf-8")
    return path


def test_a_run_writes_what_it_knows(films: CocoDataset, quality: Quality, tmp_path: Path) -> None:
    path = tmp_path / "mine" / "about.toml"
    path.parent.mkdir()
    trained = TrainedOn("crowded", ("discs",), films)
    write_about(path, tiny_config(), trained, quality, "1 film")
    about = read(path)
    assert (about["name"], about["recipe"], about["data"]) == ("mine", "crowded", ["discs"])
    assert about["score_threshold"] == 0.7
    assert about["metrics"] == {"ap": 1, "ap50": 1, "ap75": 1, "dice": 1, "right_count": 1}
    assert about["metrics_on"] == "1 film"
    assert [about[gap] for gap in GAPS] == ["", "", ""]
    assert "3 films of 3 patients, 3 objects" in path.read_text()


def test_export_takes_it_once_it_is_filled_in(
    films: CocoDataset, quality: Quality, tmp_path: Path
) -> None:
    path = tmp_path / "about.toml"
    config = tiny_config(class_names=("left lung", 'so-called "disc" Größe'))
    write_about(path, config, TrainedOn("crowded", ("discs",), films), quality, "1 film")
    network = seeded(config)
    with pytest.raises(ManifestError, match="fill in training_data, licence, attribution "):
        describe_network(network, read_about(path))
    manifest = describe_network(network, read_about(filled(path)))
    assert (manifest.score_threshold, manifest.island_pixels) == (0.7, 8)
    assert manifest.recipe == "crowded"
    lung, other = manifest.class_codes
    assert lung is not None
    assert lung.side is not None
    assert (lung.type.value, lung.side.meaning, other) == ("39607008", "Left", None)


def test_without_films_held_out_the_metrics_are_left_to_fill_in(tmp_path: Path) -> None:
    path = tmp_path / "about.toml"
    write_about(path, tiny_config(candidate_threshold=0.4))
    about = read(filled(path))
    assert (about["score_threshold"], about["metrics"]) == (0.4, {})
    with pytest.raises(ManifestError, match="fill in metrics_on "):
        describe_network(seeded(tiny_config(candidate_threshold=0.4)), about)
    about["metrics_on"] = "not measured"
    manifest = describe_network(seeded(tiny_config(candidate_threshold=0.4)), about)
    assert isinstance(manifest, Manifest)


def test_what_was_filled_in_is_kept(films: CocoDataset, quality: Quality, tmp_path: Path) -> None:
    path = tmp_path / "about.toml"
    write_about(path, tiny_config(), TrainedOn("crowded", ("discs",), films))
    text = filled(path).read_text() + '[class_codes.disc]\ntype = "1, 99X, Disc"\n'
    path.write_text(text.replace("island_pixels = 8", 'island_pixels = 2\nintended_use = "art"'))
    write_about(path, tiny_config(), TrainedOn("tiny", ("more",), films), quality, "1 film")
    about = read(path)
    assert [about[gap] for gap in GAPS] == ["said by hand"] * 3
    assert about["class_codes"] == {"disc": {"type": "1, 99X, Disc"}}
    assert (about["island_pixels"], about["intended_use"]) == (2, "art")
    assert (about["recipe"], about["data"], about["score_threshold"]) == ("tiny", ["more"], 0.7)


@pytest.mark.parametrize(
    "text", ["name = ", "class_codes = 3", "licence = 3", "metrics = 3", "[class_codes]\na=1"]
)
def test_a_broken_one_is_put_aside(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "about.toml"
    path.write_text(text)
    write_about(path, tiny_config())
    assert read(path)["licence"] == ""
    assert (tmp_path / "about.toml.old").read_text() == text
    assert "about.toml.old now" in capsys.readouterr().err


def test_patients_are_counted_where_they_are_named(films: CocoDataset, tmp_path: Path) -> None:
    assert describe_films(films) == "3 films of 3 patients, 3 objects"
    entries = [image(id=i, file_name=f"{n}.png") for i, n in enumerate(("film", "b", "c"))]
    content = document(images=entries, annotations=[])
    unnamed = load_coco(write_unread(tmp_path / "unnamed", content))
    assert describe_films(unnamed) == "3 films, 0 objects"
    entries[0]["patient_id"] = "p"
    mixed = load_coco(write_unread(tmp_path / "mixed", content))
    assert describe_films(mixed) == (
        "3 films of 1 patients and 2 more without one's name, 0 objects"
    )
