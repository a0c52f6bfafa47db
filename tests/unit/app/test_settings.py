from __future__ import annotations

from pathlib import Path

import pytest

from app.settings import Settings, SettingsError
from solo.inference.cores import usable_cores


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"SOLO_{name.upper()}", raising=False)


def test_defaults_serve_this_machine_only() -> None:
    settings = Settings.from_environment()
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.model == Path("model/zoo/cxr-lungs.onnx")
    assert settings.provider == "auto"
    assert settings.cores == usable_cores()
    assert settings.decode_workers is None


def test_the_environment_sets_every_field(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "HOST": "0.0.0.0",  # noqa: S104 (a setting like any other)
        "PORT": "9000",
        "HOST_NAMES": "xray.example.org, solo:8000",
        "MODEL": "m.onnx",
        "MODEL_KEY": "m.pub",
        "KEYS_FILE": "keys",
        "PROVIDER": "tensorrt",
        "PRECISION": "float32",
        "CUDA_GRAPHS": "false",
        "ENGINE_CACHE": "engines",
        "MAX_BATCH": "3",
        "QUEUE_LIMIT": "5",
        "DEADLINE_SECONDS": "0.5",
        "KEY_RATE": "2.5",
        "KEY_BURST": "4",
        "TRUSTED_PROXIES": "10.0.0.0/8, ::1",
        "MAX_BODY_BYTES": "4096",
        "MAX_BODIES_BYTES": "8192",
        "CLIENT_SECONDS": "3",
        "MAX_PIXELS": "100",
        "CORES": "3",
        "DECODE_WORKERS": "3",
        "DECODE_SECONDS": "2.5",
        "DRAIN_SECONDS": "0",
        "LAME_DUCK_SECONDS": "1.5",
        "RELOAD_ON_HANGUP": "true",
        "TRACES_ENDPOINT": "http://collector:4318/v1/traces",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"SOLO_{name}", value)
    found = Settings.from_environment().model_dump()
    assert {name.upper() for name in found} == set(values)
    assert (found["model"], found["keys_file"]) == (Path("m.onnx"), Path("keys"))
    assert found["engine_cache"] == Path("engines")
    assert (found["deadline_seconds"], found["queue_limit"]) == (0.5, 5)


@pytest.mark.parametrize("name", ["SOLO_MAXBATCH", "solo_typo"])
def test_an_unknown_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "0"),
        ("PORT", "http"),
        ("PROVIDER", "gpu"),
        ("MAX_BATCH", "0"),
        ("QUEUE_LIMIT", "-1"),
        ("DEADLINE_SECONDS", "0"),
        ("DEADLINE_SECONDS", "nan"),
        ("MAX_BODY_BYTES", "1"),
        ("MAX_PIXELS", "0"),
        ("KEY_RATE", "0"),
        ("KEY_BURST", "0"),
        ("CLIENT_SECONDS", "0"),
        ("DECODE_WORKERS", "0"),
        ("DECODE_SECONDS", "0"),
        ("DRAIN_SECONDS", "-1"),
        ("TRACES_ENDPOINT", "collector"),
        ("TRUSTED_PROXIES", "balancer"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "::1,"),
        ("HOST_NAMES", "http://xray.example.org"),
        ("HOST_NAMES", "xray.example.org,"),
        ("HOST_NAMES", "*"),
    ],
)
def test_a_value_out_of_bounds_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"SOLO_{name}", value)
    with pytest.raises(SettingsError, match=f"SOLO_{name}={value}"):
        Settings.from_environment()


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"MAX_BODIES_BYTES": "2048"}, r"^SOLO_MAX_BODIES_BYTES=2048 is less than SOLO_MAX_BODY"),
        ({"KEY_RATE": "5"}, r"^SOLO_KEY_RATE needs SOLO_KEYS_FILE"),
        ({"CUDA_GRAPHS": "true"}, r"^SOLO_CUDA_GRAPHS=true needs SOLO_PROVIDER=cuda"),
        (
            {"CUDA_GRAPHS": "true", "PROVIDER": "tensorrt"},
            r"^SOLO_CUDA_GRAPHS=true needs SOLO_PROVIDER=cuda",
        ),
        (
            {"ENGINE_CACHE": "engines", "PROVIDER": "cuda"},
            r"^SOLO_ENGINE_CACHE needs SOLO_PROVIDER=tensorrt",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_told(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], sentence: str
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(f"SOLO_{name}", value)
    with pytest.raises(SettingsError, match=sentence):
        Settings.from_environment()


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
@pytest.mark.parametrize("text", ["", " "])
def test_an_empty_value_is_told(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(f"SOLO_{name.upper()}", text)
    sentence = f"^SOLO_{name.upper()} is empty: give it a value or unset it$"
    with pytest.raises(SettingsError, match=sentence):
        Settings.from_environment()


@pytest.mark.parametrize(
    "variables",
    [
        {"SOLO_PORT": "tcp://10.0.0.1:8000"},
        {"SOLO_SERVICE_HOST": "10.0.0.1"},
        {"SOLO_SERVICE_PORT": "8000", "SOLO_PORT": "8000"},
        {"SOLO_SERVICE_PORT_HTTP": "8000"},
        {"SOLO_PORT_8000_TCP_ADDR": "10.0.0.1"},
        {"SOLO_XRAY_PORT": "tcp://10.0.0.1:8000"},
        {"SOLO_XRAY_PORT_8000_UDP": "udp://10.0.0.1:8000"},
    ],
)
def test_a_service_of_kubernetes_is_told_from_a_setting(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=r"Kubernetes.*enableServiceLinks: false.*Service"):
        Settings.from_environment()


def test_the_gateways_variables_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOLO_GATEWAY_MODE", "hold")
    assert Settings.from_environment().port == 8000
