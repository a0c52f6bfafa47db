"""`python -m export` from the checkpoint to the file, and its sentences where it cannot go on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from export import onnx_export
from export.__main__ import main
from export.films import load_canvases
from export.onnx_export import read_manifest
from export.score_graph import with_features
from model.data.coco import load_coco
from model.data.radiograph import read_radiograph
from model.network.checkpoint import save_checkpoint
from solo.contract.letterbox import Letterbox
from solo.contract.manifest import OUTPUT_NAMES, Manifest
from tests.support.coco_folder import SIZE, disc_folder, document, image, write
from tests.support.exported import exported, scored
from tests.support.tiny import lively, seeded, tiny_config, tiny_preset

ABOUT = """
name = "tiny"
version = "1"
score_threshold = 0.25
training_data = "none"
licence = "Apache-2.0"
attribution = "nobody"
metrics_on = "nothing"
[metrics]
ap = 0.5
"""


@pytest.fixture(scope="module")
def traced() -> onnx.ModelProto:
    return with_features(onnx.load_from_string(scored().model))


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint, a description and films; tracing is skipped, since it takes long."""
    ready = exported()
    monkeypatch.setattr(onnx_export, "trace", lambda _: onnx.load_from_string(ready.model))
    weights = ready.network.state_dict()
    save_checkpoint(tmp_path / "checkpoint.pt", tiny_preset(), {"weights": weights})
    (tmp_path / "about.toml").write_text(ABOUT)
    disc_folder(tmp_path / "films", 6)
    return tmp_path


def command(folder: Path, more: Sequence[str] = (), **changes: str) -> int:
    given = {
        "checkpoint": "checkpoint.pt",
        "about": "about.toml",
        "data": "films",
        "out": "out.onnx",
    }
    paths = {key: str(folder / value) for key, value in {**given, **changes}.items()}
    options = [word for key in ("about", "data", "out") for word in (f"--{key}", paths[key])]
    return main([paths["checkpoint"], *options, *more])


def test_a_checkpoint_becomes_a_model_file(parts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(parts) == 0
    graph = onnx.load(parts / "out.onnx")
    manifest = Manifest.from_metadata({e.key: e.value for e in graph.metadata_props})
    assert (manifest.name, manifest.score_threshold) == ("tiny", 0.25)
    said = capsys.readouterr()
    assert "on 6 films with" in said.out
    assert "at batch sizes 1, 2 and 5" in said.out
    assert (
        "no out-of-distribution output: it takes films of 40 patients, and these are of 6"
        in said.out
    )
    assert manifest.out_of_distribution is None
    assert [output.name for output in graph.graph.output] == list(OUTPUT_NAMES)


@pytest.mark.long
def test_films_of_enough_patients_make_an_out_of_distribution_output(
    traced: onnx.ModelProto,
    parts: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(onnx_export, "trace", lambda _: traced)
    assert command(parts, more=["--data", str(disc_folder(parts / "more", 20))]) == 0
    assert "of 40 patients, and these are of 20" in capsys.readouterr().out  # p0 to p5 are in both
    assert command(parts, more=["--films", str(disc_folder(parts / "many", 45))]) == 0
    found = read_manifest(parts / "out.onnx").out_of_distribution
    assert found is not None
    assert (found.films, found.patients) == (51, 45)
    assert found.auroc.keys() == {"turned", "upside_down", "half_cropped"}
    said = capsys.readouterr().out
    assert f"median score is {found.median_score:.2f}" in said
    assert f"turned {found.auroc['turned']:.3f}" in said


def test_a_file_that_is_replaced_is_told(parts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (parts / "out.onnx").write_bytes(b"older")
    assert command(parts) == 0
    assert "out.onnx is there already: it is replaced" in capsys.readouterr().err
    assert (parts / "out.onnx").read_bytes() != b"older"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"checkpoint": "none.pt"}, "there is no checkpoint"),
        ({"checkpoint": "about.toml"}, "is not a checkpoint of this project"),
        ({"about": "none.toml"}, "none.toml"),
        ({"about": "checkpoint.pt"}, "checkpoint.pt is not TOML"),
        ({"data": "nowhere"}, "is neither a folder nor a file"),
        ({"out": "no/such/folder/out.onnx"}, "no/such/folder"),
        ({"out": "films"}, "films is a folder: give the name of a file"),
        ({"out": "films/../checkpoint.pt"}, "checkpoint.pt would replace what it is made of"),
        ({"out": "about.toml"}, "about.toml would replace what it is made of"),
    ],
)
def test_what_cannot_be_exported_is_a_sentence(
    changes: dict[str, str], sentence: str, parts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(parts, **changes) == 1
    said = capsys.readouterr()
    assert said.err.startswith("not exported: ")
    assert sentence in said.err
    assert not said.out
    assert not (parts / "out.onnx").exists()


def test_weights_do_not_replace_the_model(parts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("out.onnx", "checkpoint.pt"):
        assert command(parts, more=["--weights-out", str(parts / name)]) == 1
        assert f"{name} would replace what it is made of" in capsys.readouterr().err
    assert not (parts / "out.onnx").exists()


def test_faults_of_the_parts_are_sentences(parts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (parts / "broken.toml").write_text("name = ")
    (parts / "short.toml").write_text('name = "tiny"')
    disc_folder(parts / "few", 4)
    write(parts / "bad", document(images=[image(height=0)], annotations=[]), {})
    for changes, sentence in (
        ({"about": "broken.toml"}, "broken.toml is not TOML: Invalid value"),
        ({"about": "short.toml"}, "the description does not fit: version: Field required; "),
        ({"data": "few"}, "parity needs 5 films or more, got 4"),
        ({"data": "bad"}, "image 7 has no valid 'height' and 'width'"),
    ):
        assert command(parts, **changes) == 1
        assert sentence in capsys.readouterr().err
        assert not (parts / "out.onnx").exists()


def test_what_is_quick_to_find_is_found_before_the_graph_is_made(
    parts: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def trace(_: object) -> onnx.ModelProto:
        raise AssertionError("the graph takes minutes")

    monkeypatch.setattr(onnx_export, "trace", trace)
    (parts / "short.toml").write_text('name = "tiny"')
    gaps = ABOUT.replace('"Apache-2.0"', '" "').replace('"nobody"', '""')
    (parts / "gaps.toml").write_text(gaps)
    disc_folder(parts / "few", 4)
    idle = seeded(tiny_config()).state_dict()
    idle["head.category.bias"] = torch.full_like(idle["head.category.bias"], -9)
    save_checkpoint(parts / "idle.pt", tiny_preset(), {"weights": idle})
    for changes, sentence in (
        ({"about": "short.toml"}, "version: Field required"),
        # Films are not looked at either.
        ({"about": "short.toml", "data": "nowhere"}, "version: Field required"),
        ({"about": "gaps.toml"}, "is not complete: fill in licence, attribution ("),
        ({"data": "few"}, "parity needs 5 films or more, got 4"),
        ({"checkpoint": "idle.pt"}, "the network finds nothing in any of these films"),
    ):
        assert command(parts, **changes) == 1
        assert sentence in capsys.readouterr().err


def test_a_graph_that_differs_is_a_sentence(
    parts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = lively(tiny_config(), seed=1).state_dict()
    save_checkpoint(parts / "other.pt", tiny_preset(), {"weights": weights})
    assert command(parts, checkpoint="other.pt") == 1
    assert "not exported: film 0, batch of 1: a score differs by" in capsys.readouterr().err
    assert not (parts / "out.onnx").exists()


def test_films_are_letterboxed_and_no_more_than_twenty(tmp_path: Path) -> None:
    films = {f"{i}.png": np.full(SIZE, 4 * i, np.uint8) for i in range(50)}
    images = [image(id=i, file_name=name) for i, name in enumerate(films)]
    folder = write(tmp_path / "many", document(images=images, annotations=[]), films)
    canvases = load_canvases([load_coco(folder)], (64, 64))
    assert canvases.shape == (20, 1, 64, 64)
    assert canvases.dtype == np.float32
    greys = np.round(canvases[:, 0, 32, 32] * 255 / 4).astype(int).tolist()
    assert greys == [5 * i // 2 for i in range(20)]  # every second or third, to the last

    few = load_coco(disc_folder(tmp_path / "few", 3))
    expected = [Letterbox.fit(SIZE, (64, 64)).apply(read_radiograph(r)) for r in few.images]
    np.testing.assert_array_equal(load_canvases([few], (64, 64))[:, 0], np.stack(expected))
    both = load_canvases([load_coco(folder), few], (64, 64))
    assert len(both) == 13  # ten of the large one, and all of the small one
    np.testing.assert_array_equal(both[10:, 0], np.stack(expected))
