"""The process: settings that cannot be used, and what it says of itself."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from gateway.settings import Settings, SettingsError
from tests.support.certificates import write_certificate
from tests.support.gateways import GatewayProcess, echo, gateway
from tests.support.processes import free_port
from tests.support.stub_servers import StubArchive, StubService, running

URL = "http://127.0.0.1:1"


def run(**settings: object) -> subprocess.CompletedProcess[str]:
    inherited = {name: text for name, text in os.environ.items() if "SOLO_" not in name}
    given = {f"SOLO_GATEWAY_{name.upper()}": str(value) for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "gateway"],
        env=inherited | given,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "SOLO_GATEWAY_DICOMWEB_URL"),
        ({"deliver_to": "ae"}, "SOLO_GATEWAY_DESTINATION"),
        ({"mode": "pull", "dicomweb_url": URL}, "SOLO_GATEWAY_ORTHANC_URL"),
        ({"dicomweb_url": URL, "results": "seg,sr"}, "SOLO_GATEWAY_RESULTS"),
        ({"dicomweb_url": URL, "ae_title": "MORE THAN SIXTEEN SIGNS"}, "SOLO_GATEWAY_AE_TITLE"),
        ({"dicomweb_url": URL, "sources": "10.0.0.1/8"}, "SOLO_GATEWAY_SOURCES"),
        ({"dicomweb_url": URL, "tls_key": __file__}, "SOLO_GATEWAY_TLS_CERTIFICATE"),
        ({"dicomweb_url": URL, "max_film": "1"}, "no such setting"),
        ({"dicomweb_url": " "}, "is empty"),
    ],
)
def test_a_setting_that_cannot_be_used(settings: dict[str, object], said: str) -> None:
    done = run(**settings)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dicomweb_url": URL, "service_key_file": "/none/Planted"}, "SOLO_GATEWAY_SERVICE_KEY_"),
        ({"dicomweb_url": "http://a:Planted@b/"}, "SOLO_GATEWAY_DICOMWEB_URL"),
        ({"dicomweb_url": "ftp://a:Planted@b/"}, "SOLO_GATEWAY_DICOMWEB_URL"),
        ({"dicomweb_url": URL, "calling_ae_titles": "A,,B"}, "SOLO_GATEWAY_CALLING_AE_TITLES"),
        ({"deliver_to": "ae", "destination": "A@h:99999"}, "SOLO_GATEWAY_DESTINATION"),
        ({"deliver_to": "ae", "destination": "A\\B@h:104"}, "SOLO_GATEWAY_DESTINATION"),
        ({"deliver_to": "ae", "destination": "\u00e4@h:104"}, "SOLO_GATEWAY_DESTINATION"),
    ],
)
def test_a_value_that_cannot_be_used(
    settings: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"SOLO_GATEWAY_{name.upper()}", value)
    with pytest.raises(SettingsError, match=said) as error:
        Settings.from_environment()
    assert "Planted" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [("tls_certificate", "SOLO_GATEWAY_TLS_KEY"), ("tls_client_ca", "SOLO_GATEWAY_TLS_CLIENT_CA")],
)
def test_a_certificate_that_is_none(tmp_path: Path, name: str, said: str) -> None:
    write_certificate(tmp_path, "server")
    (tmp_path / "none").write_text("-----BEGIN CERTIFICATE-----\n")
    files = {"tls_certificate": tmp_path / "server.pem", "tls_key": tmp_path / "server.key"}
    with running(StubService()) as url:
        ports = {"port": free_port(), "metrics_port": free_port()}
        done = run(dicomweb_url=URL, service_url=url, **ports, **files | {name: tmp_path / "none"})
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_cursor_of_something_else_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "cursor").write_text("yesterday")
    with running(StubService()) as url:
        done = run(
            mode="pull",
            service_url=url,
            orthanc_url=URL,
            dicomweb_url=URL,
            cursor_file=tmp_path / "cursor",
        )
    assert done.returncode == 1
    assert "'yesterday' is no number of a change" in done.stderr


def test_an_address_that_is_taken(tmp_path: Path) -> None:
    with running(StubService()) as url:
        port = url.rpartition(":")[2]
        done = run(dicomweb_url=url, service_url=url, port=port)
    assert done.returncode == 1
    assert "in use" in done.stderr


def test_health_and_metrics(tmp_path: Path) -> None:
    with (
        running(StubService()) as service,
        running(StubArchive()) as archive,
        gateway(tmp_path / "log", service_url=service, dicomweb_url=archive) as process,
    ):
        root = f"http://127.0.0.1:{process.metrics_port}"
        assert httpx.get(f"{root}/healthz/live").status_code == 200
        assert httpx.get(f"{root}/").status_code == 404
        assert "solo_gateway_ready 1.0" in process.metrics()
        process.terminate()
        assert process.wait() == 0


def test_a_gateway_without_a_service_lives_and_is_not_ready(tmp_path: Path) -> None:
    process = GatewayProcess(tmp_path / "log", dicomweb_url=URL, service_url=URL)
    process.start(wait=False)
    try:
        deadline = time.monotonic() + 20
        while "waiting" not in process.output.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not process.is_ready()
        assert "solo_gateway_ready 0.0" in process.metrics()
        assert not echo(process.port)
        process.terminate()
        assert process.wait() == 0
    finally:
        process.kill()


@pytest.mark.parametrize("codes", [None, [], [None]])
def test_a_model_without_codes_stops_the_start(codes: list[None] | None) -> None:
    service = StubService(model={"class_names": ["lung"], "class_codes": codes})
    with running(service) as url:
        done = run(dicomweb_url=URL, service_url=url, port=free_port(), metrics_port=free_port())
    assert done.returncode == 1
    assert "no codes for lung" in done.stderr
