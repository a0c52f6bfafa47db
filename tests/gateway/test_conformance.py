"""The conformance statement says what the gateway does."""

from __future__ import annotations

import re
from pathlib import Path

from gateway.contexts import accepted_contexts
from gateway.settings import Settings

STATEMENT = Path(__file__).parents[2] / "docs" / "dicom-conformance.md"


def test_it_lists_every_class_and_transfer_syntax() -> None:
    accepted = re.search(r"#### 4\.2\.1(.*)#### 4\.2\.3", STATEMENT.read_text(), re.DOTALL)
    assert accepted is not None
    told = re.findall(r"\| ([0-9.]+) \|$", accepted[1], re.MULTILINE)
    contexts = accepted_contexts()[1:]
    classes = {str(one.abstract_syntax) for one in contexts}
    assert len(classes) > 15
    assert {*told[: len(classes)]} == classes
    for one in contexts:  # the first that is proposed is taken
        assert told[len(classes) :] == [*map(str, one.transfer_syntax or [])]


def test_it_lists_every_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `SOLO_GATEWAY_(\w+)` \| (.*?) \|", STATEMENT.read_text(), re.M)
    assert [name.lower() for name, _ in rows] == [*Settings.model_fields]
    for name, told in rows:
        default = Settings.model_fields[name.lower()].default
        if default is None:
            assert told == "none"
        elif isinstance(default, float):
            assert float(told.strip("`")) == default
        else:
            assert told.strip("`") == str(default).lower().rstrip("/") or told == f"`{default}`"
