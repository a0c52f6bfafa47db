"""The manifest in a model file: read back, or refused with the reason."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from solo.contract.manifest import METADATA_KEY, RESEARCH_USE_ONLY, Manifest, ManifestError
from solo.inference.model_file import ModelFile
from tests.support.engines import fitted, manifest

ZOO = Path(__file__).parents[4] / "model" / "zoo"
LUNG = {"value": "39607008", "scheme": "SCT", "meaning": "Lung"}
CODES = {"category": {**LUNG, "meaning": "Anatomical Structure"}, "type": LUNG}


def metadata(**changes: Any) -> dict[str, str]:
    """A model file's metadata; a change to None takes the field away."""
    fields = {**json.loads(manifest().model_dump_json()), **changes}
    return {METADATA_KEY: json.dumps({k: v for k, v in fields.items() if v is not None})}


def test_what_was_written_is_read() -> None:
    written = manifest(class_names=("Lunge, linke", "心"), metrics={"ap": 0.8125, "dice": 1 / 3})
    stored = written.to_metadata()
    assert list(stored) == [METADATA_KEY]
    assert Manifest.from_metadata({**stored, "other": "entry"}) == written
    assert written.intended_use == RESEARCH_USE_ONLY


def test_a_file_without_a_manifest_is_refused_by_name() -> None:
    with pytest.raises(ManifestError, match=f"no '{METADATA_KEY}' in its metadata"):
        Manifest.from_metadata({"author": "someone"})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"schema_version": 3}, "schema_version: Input should be 1 or 2"),
        ({"colour": "red"}, "colour: Extra inputs are not permitted"),
        ({"\x1b[2J": "red"}, r"'\x1b[2J': Extra inputs are not permitted"),
        ({"licence": None}, "licence: Field required"),
        ({"class_names": ["bright"]}, "1 class names for 2 category ids"),
        ({"class_names": [], "category_ids": []}, "0 class names for 0 category ids"),
        ({"canvas_size": [0, 64]}, "canvas_size.0: Input should be greater than 0"),
        ({"canvas_size": [64]}, "canvas_size.1: Field required"),
        ({"island_pixels": -1}, "island_pixels: Input should be greater than or equal to 0"),
        ({"island_pixels": True}, "island_pixels: Input should be a valid integer"),
        ({"island_pixels": "8"}, "island_pixels: Input should be a valid integer"),
        ({"score_threshold": "0.5"}, "score_threshold: Input should be a valid number"),
        ({"metrics": {"ap": math.nan}}, "metrics.ap: Input should be a finite number"),
        ({"metrics": {"ap": math.inf}}, "metrics.ap: Input should be a finite number"),
        ({"mask_threshold": 1.5}, "mask_threshold: Input should be less than or equal to 1"),
    ],
)
def test_a_manifest_that_cannot_be_used_says_why(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ManifestError, match="the model's manifest cannot be used") as caught:
        Manifest.from_metadata(metadata(**changes))
    assert sentence in str(caught.value)


def test_every_fault_is_named() -> None:
    with pytest.raises(ManifestError) as caught:
        Manifest.from_metadata(metadata(name=None, opset=-1))
    assert "name: " in str(caught.value)
    assert "opset: " in str(caught.value)


@pytest.mark.parametrize("document", ["", "{", "[]", "null", '"text"'])
def test_anything_else_than_a_document_is_refused(document: str) -> None:
    with pytest.raises(ManifestError, match="cannot be used"):
        Manifest.from_metadata({METADATA_KEY: document})


def test_a_manifest_is_not_changed_after_reading() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        manifest().version = "2"  # type: ignore[misc]


@pytest.mark.parametrize("path", sorted(ZOO.glob("*.onnx")), ids=lambda path: path.name)
def test_a_file_of_version_1_has_the_defaults(path: Path) -> None:
    written = json.loads(ModelFile.read(path).manifest.model_dump_json())
    new = {"out_of_distribution", "island_pixels", "class_codes", "recipe", "data"}
    old = {k: v for k, v in written.items() if k not in new} | {"schema_version": 1}
    found = Manifest.from_metadata({METADATA_KEY: json.dumps(old)})
    assert found.model_dump(mode="json", exclude=new) == old
    assert (found.out_of_distribution, found.recipe) == (None, None)
    assert (found.island_pixels, found.class_codes, found.data) == (0, (), ())


def test_what_version_2_brings_is_read() -> None:
    written = fitted(
        class_codes=[CODES, None], island_pixels=12, recipe="solov2-lite", data=["shenzhen"]
    )
    found = Manifest.from_metadata(written.to_metadata())
    assert found == written
    assert found.schema_version == 2
    assert found.out_of_distribution is not None
    assert found.out_of_distribution.median_score == 0.4


NAMES: dict[str, Any] = {
    "name": "{}",
    "version": "{}",
    "variant": "{}",
    "backbone": "{}",
    "recipe": "{}",
    "source_revision": "{}",
    "class_names": ["bright", "{}"],
    "data": ["{}"],
    "metrics": {"{}": 0.5},
    "class_codes": [CODES | {"side": {**LUNG, "meaning": "{}"}}, None],
    "out_of_distribution": {
        "films": 9,
        "patients": 9,
        "limit": 0.2,
        "median_score": 0.4,
        "auroc": {"{}": 1},
    },
}


def with_name(field: str, name: str) -> dict[str, str]:
    return metadata(**json.loads(json.dumps({field: NAMES[field]}).replace("{}", name)))


@pytest.mark.parametrize("field", NAMES)
def test_a_name_of_any_kind_shows_all_of_itself(field: str) -> None:
    for name in (
        "rib 3, left",
        "Lunge (li.)",
        "心",
        "\u06a9\u062a\u0627\u0628\u200c\u0647\u0627",
        "\u0915\u094d\u200d\u0937",
        "Œsophage",
    ):
        Manifest.from_metadata(with_name(field, name))
    with pytest.raises(ManifestError, match=r"U\+202E, which is not shown") as caught:
        Manifest.from_metadata(with_name(field, "lung\u202egnul"))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "character",
    [
        *"\0\a\b\t\n\v\f\r\x1b\x1c\x7f\x80\x85\x9b",  # control
        *"\u2028\u2029",  # line and paragraph separators
        *"\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e",  # bidirectional controls
        *"\u2066\u2067\u2068\u2069\u206a\u206f",
        *"\xad\u200b\u2060\ufeff\U000e0041",  # not shown, so that two names look alike
        *"\u200c\u200d",  # joiners where there is nothing to join
        *"\u034f\u115f\u1160\u17b4\u180b\u2800\u3164\ufe0f\uffa0\U000e0100",  # blank
    ],
    ids=lambda character: f"U+{ord(character):04X}",
)
def test_a_character_that_hides_turns_or_breaks_is_refused_in_a_name(character: str) -> None:
    for name in (f"{character}lung", f"lu{character}ng", f"lung{character}"):
        with pytest.raises(ManifestError) as caught:
            Manifest.from_metadata(metadata(class_names=["bright", name]))
        assert f"class_names.1: Value error, the name has the character U+{ord(character):04X}" in (
            sentence := str(caught.value)
        )
        assert sentence.isprintable()


def test_texts_of_several_lines_stay() -> None:
    text = "Films of two hospitals.\n\tSee https://example.org\r\n"
    fields = ("attribution", "training_data", "licence", "metrics_on", "intended_use")
    found = Manifest.from_metadata(metadata(**dict.fromkeys(fields, text)))
    assert all(getattr(found, field) == text for field in fields)
