from __future__ import annotations

import subprocess
import sys

BLOCKED = ("torch", "torchvision", "onnx", "export")
PROGRAM = f"""
import sys
for name in {BLOCKED!r}:
    sys.modules[name] = None  # importing it now raises ImportError
import app.main
"""


def test_the_service_starts_without_torch() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == ""
