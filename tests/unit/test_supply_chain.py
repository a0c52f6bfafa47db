"""The audit tells an index without advisories from clean pins; the bill of materials is whole."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from requirements.sbom import bill_of_materials
from solo import __version__

ROOT = Path(__file__).parents[2]
WEAK = (
    '{"dependencies": [{"name": "jinja2", "version": "2.10", "vulns": [{"id": "PYSEC-2019-217"}]}]}'
)
UNKNOWN = '{"dependencies": [{"name": "jinja2", "skip_reason": "not found"}]}'
INSTALLED: dict[str, Any] = {
    "metadata": {"component": {"bom-ref": "root", "type": "application", "name": "solo-xray"}},
    "components": [
        {"bom-ref": "numpy==2", "name": "numpy", "purl": "pkg:pypi/numpy@2", "licenses": ["BSD"]},
        {"bom-ref": "pip==1", "name": "pip", "purl": "pkg:pypi/pip@1"},
    ],
    "dependencies": [{"ref": "numpy==2"}, {"ref": "pip==1"}],
}
PINNED: dict[str, Any] = {
    "components": [{"purl": "pkg:pypi/numpy@2", "externalReferences": [{"hashes": ["of a wheel"]}]}]
}


@pytest.mark.parametrize(
    ("control", "result", "code"), [(WEAK, 0, 0), (WEAK, 1, 1), (UNKNOWN, 0, 3), ("", 1, 3)]
)
def test_the_audit_has_an_exit_code_for_each_end(
    tmp_path: Path, control: str, result: int, code: int
) -> None:
    tool = tmp_path / "pip-audit"
    tool.write_text(
        f"#!/bin/sh\ncase \"$*\" in *json*) echo '{control}';; *) exit {result};; esac\n"
    )
    tool.chmod(0o755)
    done = subprocess.run(
        [ROOT / "requirements" / "audit", tool], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert ("nothing was audited" in done.stderr) == (code == 3)
    pins = {f"requirements/{path.name}" for path in (ROOT / "requirements").glob("*.txt")}
    assert {*done.stdout.split()} == (set() if code == 3 else {*pins, "torch"})


def test_the_bill_has_the_project_its_libraries_its_models_and_its_base() -> None:
    bill = bill_of_materials(INSTALLED, PINNED)
    assert bill["metadata"]["component"]["version"] == __version__
    parts = {part["bom-ref"]: part for part in bill["components"]}
    assert parts["numpy==2"]["externalReferences"] == [{"hashes": ["of a wheel"]}]
    assert "pip==1" not in parts
    assert parts["base-image"]["version"] == "3.11-slim-bookworm"
    assert {*bill["dependencies"][0]["dependsOn"]} == {*parts}
    for path in (ROOT / "model" / "zoo").glob("*.onnx"):
        model = parts[path.name]
        assert model["type"] == "machine-learning-model"
        assert model["hashes"][0]["content"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert model["licenses"] == [{"license": {"id": "Apache-2.0"}}]
        assert model["modelCard"]["modelParameters"]["datasets"]


def test_what_is_installed_but_not_pinned_is_refused() -> None:
    with pytest.raises(ValueError, match="numpy==2 is installed but not pinned"):
        bill_of_materials(INSTALLED, {"components": []})
