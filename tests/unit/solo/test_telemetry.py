from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("module", ["solo.segmenter", "app.main", "export.parity"])
def test_the_runtime_reports_to_nobody(tmp_path: Path, module: str) -> None:
    """ONNX Runtime's telemetry leaves an identifier and a database in the user's home."""
    automation = ("CI", "ORT_", "GITHUB_", "TF_BUILD")  # with these it would be silent by itself
    inherited = {n: v for n, v in os.environ.items() if not n.startswith(automation)}
    ended = subprocess.run(
        [sys.executable, "-c", f"import {module}"],
        env=inherited | {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert list(tmp_path.rglob("*")) == []
