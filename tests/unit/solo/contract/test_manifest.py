"""The manifest in a model file: read back, or refused with the reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from solo.contract.manifest import METADATA_KEY, RESEARCH_USE_ONLY, Manifest, ManifestError
from tests.support.engines import manifest


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
        ({"licence": None}, "licence: Field required"),
        ({"class_names": ["bright"]}, "1 class names for 2 category ids"),
        ({"class_names": [], "category_ids": []}, "0 class names for 0 category ids"),
        ({"canvas_size": [0, 64]}, "canvas_size.0: Input should be greater than 0"),
        ({"canvas_size": [64]}, "canvas_size.1: Field required"),
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
