from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.engines import manifest, write_tiny_model
from tests.support.processes import ServiceProcess, serving


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("model") / "tiny.onnx", manifest())


@pytest.fixture(scope="module")
def service(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    output = tmp_path_factory.mktemp("service") / "output"
    limits: dict[str, Any] = {
        "max_body_bytes": 2_000_000,
        "max_bodies_bytes": 3_000_000,
        "max_pixels": 1_000_000,
    }
    with serving(output, model=tiny_model, provider="cpu", **limits) as running:
        yield running


@pytest.fixture
def http(service: ServiceProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=30) as client:
        yield client
