"""Who may import whom, also where the import linter is blind: running an `__init__` is no edge."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TORCH_FREE = ["app.main", "solo.contract.manifest", "solo.contract.letterbox"]


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", TORCH_FREE)
def test_it_imports_where_torch_cannot_be(module: str) -> None:
    block = "import sys; sys.modules.update(dict.fromkeys(['torch', 'onnx', 'export']));"
    done = run_python(f"{block} import {module}")
    assert done.returncode == 0, done.stderr


def test_serving_does_not_load_what_it_does_not_need() -> None:
    done = run_python(
        "import app.main, sys;"
        "unwanted = {'torch', 'onnx', 'model.network.config', 'opentelemetry.sdk', 'app.tracing'};"
        "print(unwanted & {*sys.modules})"
    )
    assert done.stdout.strip() == "set()", done.stderr


def test_every_pinned_requirement_has_a_hash_and_no_address() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        text = path.read_text()
        assert "://" not in text, path.name
        pins = [line for line in text.splitlines() if "==" in line]
        assert pins, path.name
        assert all(line.endswith("\\") for line in pins), path.name


def test_serving_pins_no_torch_and_one_runtime() -> None:
    names = {
        group: {
            line.split("==")[0].split("[")[0]
            for line in (ROOT / "requirements" / f"{group}.txt").read_text().splitlines()
            if "==" in line
        }
        for group in ("serve-cpu", "serve-gpu")
    }
    assert not {"torch", "onnx", "triton"} & (names["serve-cpu"] | names["serve-gpu"])
    assert {"onnxruntime", "onnxruntime-gpu"} & names["serve-cpu"] == {"onnxruntime"}
    assert {"onnxruntime", "onnxruntime-gpu"} & names["serve-gpu"] == {"onnxruntime-gpu"}
