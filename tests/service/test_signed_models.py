"""A service that runs only models that one key has signed, as a process."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.engines import manifest, write_tiny_model
from tests.support.films import flat, png
from tests.support.processes import ServiceProcess, free_port, run_to_end, serving
from tests.support.signing import new_key, sign

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="no ssh-keygen here")

FILM = png(flat(255))


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def refused(text: str, **settings: object) -> None:
    ended = run_to_end(port=free_port(), **settings)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert text in ended.stderr


def version(service: ServiceProcess) -> str:
    answer = httpx.post(f"{service.url}/segment", content=FILM, timeout=20)
    assert answer.status_code == 200
    found: str = answer.json()["model"]["version"]
    return found


def is_counted(service: ServiceProcess, outcome: str, times: int) -> bool:
    sample = f'solo_model_replacements_total{{outcome="{outcome}"}} {float(times)}'
    return sample in httpx.get(f"{service.url}/metrics").text.splitlines()


def test_without_a_signature_it_does_not_start(tmp_path: Path) -> None:
    key = new_key(tmp_path / "key")
    model = write_tiny_model(tmp_path / "model.onnx", manifest())
    refused("model.onnx.sig cannot be read: No such file", model=model, model_key=key)
    sign(model, tmp_path / "key")
    write_tiny_model(model, manifest(version="2"))
    refused("is not what was signed", model=model, model_key=key)
    sign(model, tmp_path / "key")
    other = new_key(tmp_path / "other")
    refused("is no solo-xray signature by", model=model, model_key=other)
    refused("is not one public key", model=model, model_key=model)
    key.chmod(0o666)
    refused("others may write the model key", model=model, model_key=key)
    refused("SOLO_MODEL_KEY is empty", model=model, model_key="")


def test_only_signed_models_take_over(tmp_path: Path) -> None:
    key = new_key(tmp_path / "key")
    new_key(tmp_path / "other")
    path = write_tiny_model(tmp_path / "model.onnx", manifest(version="1"))
    sign(path, tmp_path / "key")
    settings: dict[str, Any] = {"model": path, "model_key": key, "reload_on_hangup": True}
    with serving(tmp_path / "output", **settings) as service:
        assert version(service) == "1"
        assert '"signed": true' in service.log()
        path.unlink()  # as a rename does: the old bytes stay whole
        write_tiny_model(path, manifest(version="2"))  # under the old one's signature
        for signer, times in (("other", 1), ("key", 2)):
            service.process.send_signal(signal.SIGHUP)
            until(partial(is_counted, service, "refused", times))
            assert version(service) == "1"
            sign(path, tmp_path / signer)
        assert service.log().count('"model refused"') == 2
        assert "is not what was signed" in service.log()
        assert "is no solo-xray signature by" in service.log()
        service.process.send_signal(signal.SIGHUP)
        until(partial(is_counted, service, "swapped", 1))
        assert version(service) == "2"
        assert service.stop() == 0
