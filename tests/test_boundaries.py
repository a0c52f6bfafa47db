"""Who may import whom, also where the import linter is blind: running an `__init__` is no edge."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TORCH = ("torch", "torchvision", "onnx", "onnxscript")
WEB = ("fastapi", "starlette", "uvicorn", "prometheus_client", "multipart", "pydantic_settings")
FOLDERS = (
    "app",
    "gateway",
    "model",
    "export",
    "datasets",
    "tests",
    "benchmarks",
    "examples",
    "experiments",
)
# What each door does without: its import must not fail where none of these can be imported.
WITHOUT = {
    "solo.segmenter": {*TORCH, *WEB, *FOLDERS},
    "solo.contract.manifest": {*TORCH, *WEB, *FOLDERS, "onnxruntime"},
    "solo.decoding.decode": {*TORCH, *WEB, *FOLDERS, "onnxruntime", "pycocotools"},
    "solo.sandbox.worker": {*TORCH, *WEB, *FOLDERS, "onnxruntime", "pycocotools", "pydantic"},
    "app.main": {*TORCH, *FOLDERS} - {"app"},
    "gateway.__main__": {*TORCH, *FOLDERS, "onnxruntime", "cv2", "fastapi", "starlette", "uvicorn"}
    - {"gateway"},
    "export.__main__": {*WEB, *FOLDERS} - {"model", "export"},
    "model.train": {*WEB, *FOLDERS, "onnxruntime", "solo.inference"} - {"model"},
    "datasets.doctor.__main__": {*WEB, *FOLDERS, "onnxruntime"} - {"model", "datasets"},
    "datasets.phantom.__main__": {*TORCH, *WEB, *FOLDERS, "onnxruntime"} - {"model", "datasets"},
}


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", WITHOUT)
def test_a_door_opens_where_the_others_libraries_cannot_be(module: str) -> None:
    block = "import sys; sys.modules.update(dict.fromkeys(sys.argv[1:]));"
    done = run_python(f"{block} import {module}", *WITHOUT[module])
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_a_blocked_library_would_be_noticed() -> None:
    done = run_python("import sys; sys.modules['onnxruntime'] = None; import solo.segmenter")
    assert "ModuleNotFoundError: import of onnxruntime halted" in done.stderr


def test_the_library_loads_nothing_of_the_web_or_of_training() -> None:
    names = {*TORCH, *WEB, *FOLDERS}
    done = run_python(
        "import sys, solo; [getattr(solo, name) for name in solo.__all__];"
        "print({*sys.argv[1:]} & {*sys.modules})",
        *names,
    )
    assert done.stdout.strip() == "set()", done.stderr


def test_serving_does_not_load_what_it_does_not_need() -> None:
    done = run_python(
        "import app.main, sys;"
        "unwanted = {'torch', 'onnx', 'model', 'opentelemetry.sdk', 'app.tracing'};"
        "print(unwanted & {*sys.modules})"
    )
    assert done.stdout.strip() == "set()", done.stderr


def test_the_installed_library_asks_for_the_group_of_the_library_and_one_runtime() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    library = declared["dependency-groups"]["library"]
    assert {*declared["project"]["dependencies"]} == {*library, "onnxruntime"}


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
