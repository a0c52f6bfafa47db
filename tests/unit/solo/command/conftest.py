from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from solo.command.main import main
from tests.support.engines import manifest, write_tiny_model

Command = Callable[..., int]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx", manifest())


@pytest.fixture
def command(tiny_model: Path) -> Command:
    """The command in this process, without a sandbox: what its exit code is."""

    def run(*words: object) -> int:
        given = ["--model", str(tiny_model), "--provider", "cpu", *map(str, words)]
        return main(given, sandbox=None)

    return run


@pytest.fixture
def document() -> Callable[[Path], Any]:
    return lambda out: json.loads((out / "annotations.json").read_text())
