"""The exported file: what it says of itself, and when it is not written."""

from __future__ import annotations

import re
from pathlib import Path

import onnx
import pytest

from export import onnx_export
from export.class_codes import read_class_codes
from export.onnx_export import OPSET, export, read_about
from export.parity import ParityError
from model.configuration.presets import PRESETS
from model.network.solo_network import SoloNetwork
from solo.contract.manifest import RESEARCH_USE_ONLY, Manifest
from tests.support.exported import ABOUT, exported, film_canvases
from tests.support.tiny import CATEGORIES, lively, tiny_config

ZOO = Path(__file__).parents[3] / "model" / "zoo"


@pytest.fixture
def ready_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every export gets the graph of `exported`, whatever its network: tracing takes long."""
    ready = exported().model

    def graph(_: object) -> onnx.ModelProto:
        model = onnx.load_from_string(ready)
        del model.metadata_props[:]
        return model

    monkeypatch.setattr(onnx_export, "trace", graph)


def manifest_of(model: bytes) -> Manifest:
    graph = onnx.load_from_string(model)
    return Manifest.from_metadata({entry.key: entry.value for entry in graph.metadata_props})


def test_the_manifest_reads_back() -> None:
    found = manifest_of(exported().model)
    config = exported().network.config
    assert (found.class_names, found.category_ids) == CATEGORIES
    assert found.canvas_size == config.canvas_size
    assert found.max_instances == config.max_instances
    assert found.mask_threshold == config.mask_threshold
    assert found.backbone == config.backbone
    assert found.variant == "solov2"
    assert found.mask_stride == 4
    assert found.intended_use == RESEARCH_USE_ONLY
    for key, value in ABOUT.items():
        assert getattr(found, key) == value
    assert re.fullmatch(r"[0-9a-f]{40}|unknown", found.source_revision)
    assert re.fullmatch(r"[0-9a-f]{64}", found.weights_sha256)


def test_the_file_is_one_valid_graph() -> None:
    model = onnx.load_from_string(exported().model)
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import if not entry.domain] == [
        ("", OPSET)
    ]
    assert manifest_of(exported().model).opset == OPSET
    assert model.doc_string == RESEARCH_USE_ONLY
    # No weight lies in a file beside it.
    assert not any(tensor.external_data for tensor in model.graph.initializer)


def test_nothing_is_padded() -> None:
    # ONNX Runtime pads integers on the CPU only, and a graph that leaves the GPU is never recorded.
    graph = onnx.load_from_string(exported().model).graph
    assert "Pad" not in {node.op_type for node in graph.node}


def test_the_file_says_nothing_of_the_machine_it_was_made_on() -> None:
    assert str(Path(__file__).parents[3]).encode() not in exported().model
    assert b"site-packages" not in exported().model


def test_parity_was_measured_on_all_films() -> None:
    parity = exported().parity
    assert parity.films == len(film_canvases())
    assert parity.instances > 5 * parity.films
    assert 0 <= parity.score < 1e-3
    assert 0 <= parity.mask <= 2


@pytest.mark.usefixtures("ready_graph")
def test_the_weights_hash_is_of_the_weights_alone(tmp_path: Path) -> None:
    again: SoloNetwork = lively(tiny_config(candidate_threshold=0.1))
    export(again, {**ABOUT, "version": "2"}, film_canvases(), tmp_path / "again.onnx")
    found = manifest_of((tmp_path / "again.onnx").read_bytes())
    assert found.version == "2"
    assert found.weights_sha256 == manifest_of(exported().model).weights_sha256


@pytest.mark.usefixtures("ready_graph")
@pytest.mark.parametrize("existing", [None, b"an earlier model"])
def test_a_graph_that_differs_is_not_written(existing: bytes | None, tmp_path: Path) -> None:
    out = tmp_path / "model.onnx"
    if existing is not None:
        out.write_bytes(existing)
    with pytest.raises(ParityError):
        export(lively(tiny_config(), seed=1), ABOUT, film_canvases(), out)
    assert [path.name for path in tmp_path.iterdir()] == ([] if existing is None else [out.name])
    assert existing is None or out.read_bytes() == existing


@pytest.mark.usefixtures("ready_graph")
def test_a_passed_model_replaces_an_earlier_one(tmp_path: Path) -> None:
    out = tmp_path / "model.onnx"
    out.write_bytes(b"an earlier model")
    export(exported().network, ABOUT, film_canvases(), out)
    assert manifest_of(out.read_bytes()).name == "tiny"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"licence": None}, "licence"),
        ({"colour": "red"}, "colour"),
        ({"score_threshold": 2.0}, "score_threshold"),
        (
            {"score_threshold": 0.05},
            r"score_threshold is 0\.05, but the network drops whatever scores 0\.1 or less",
        ),
    ],
)
def test_a_description_that_makes_no_manifest_is_refused_before_the_work(
    change: dict[str, object], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(_: object) -> onnx.ModelProto:
        raise AssertionError("the network was traced")

    network = exported().network
    monkeypatch.setattr(onnx_export, "trace", work)
    about = {key: value for key, value in {**ABOUT, **change}.items() if value is not None}
    with pytest.raises(ValueError, match=sentence):
        export(network, about, film_canvases(), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("ready_graph")
def test_the_network_has_the_last_word_on_itself(tmp_path: Path) -> None:
    about = {**ABOUT, "backbone": "resnet50", "class_names": ["a", "b"], "opset": 3}
    export(exported().network, about, film_canvases(), tmp_path / "model.onnx")
    found = manifest_of((tmp_path / "model.onnx").read_bytes())
    assert (found.backbone, found.class_names) == ("efficientnet_lite0", CATEGORIES[0])
    assert found.opset == OPSET


@pytest.mark.parametrize("path", sorted(ZOO.glob("*.toml")), ids=lambda path: path.stem)
def test_descriptions_in_the_zoo_make_manifests(path: Path) -> None:
    about = read_about(path)
    network = manifest_of(exported().model).model_dump(
        exclude={"intended_use", *ABOUT}, exclude_unset=True
    )
    names = tuple(about["class_codes"])
    network |= {"class_names": names, "category_ids": tuple(range(len(names)))}
    codes = read_class_codes(about["class_codes"], names)
    found = Manifest.model_validate({**network, **about, "class_codes": codes})
    assert found.name == path.stem
    assert found.recipe in PRESETS
    assert found.data
