"""What the alerts and the dashboard ask for exists, and the compose files know every setting."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from app.metrics import Metrics
from app.routes import PATHS
from app.settings import Settings
from gateway.metrics import Metrics as GatewayMetrics
from gateway.settings import Settings as GatewaySettings
from solo.inference.model_runner import ModelRunner
from tests.support.engines import FakeEngine, fitted

ROOT = Path(__file__).parents[2]
RULES = ROOT / "docker" / "prometheus" / "rules.yml"
DASHBOARD = json.loads((ROOT / "docker" / "grafana" / "solo-xray.json").read_text())
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
COMPOSE = (ROOT / "docker-compose.yml").read_text()
SECURE = (ROOT / "docker-compose.secure.yml").read_text()
SIGNED = (ROOT / "docker-compose.signed.yml").read_text()

# Prometheus adds these; the provider is the model's, and this one is made of Python.
FOREIGN_LABELS = {"device", "instance", "job", "provider"}


def dashboard_expressions() -> Iterator[str]:
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])


def served() -> dict[str, list[dict[str, str]]]:
    """Every sample name that the service exposes, with the label sets it has from the start."""
    registry = CollectorRegistry()
    metrics = Metrics(registry, fitted(), [1, 2, 4], PATHS, 64)
    metrics.on_model(ModelRunner(FakeEngine()).identity)
    samples: dict[str, list[dict[str, str]]] = {}
    for family in (*registry.collect(), *GatewayMetrics().registry.collect()):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample.labels)
    return samples


def asked() -> list[str]:
    """The rules, whole, and each of the dashboard's expressions."""
    return [RULES.read_text(), *dashboard_expressions()]


def test_every_metric_that_is_asked_for_is_served() -> None:
    names = {name for text in asked() for name in re.findall(r"\bsolo_[a-z_]+", text)}
    assert len(names) > 8
    assert names <= set(served())


def test_every_label_that_is_asked_for_is_served() -> None:
    samples = served()
    checked = 0
    for text in asked():
        for name, matchers in re.findall(r"\b(solo_[a-z_]+)\{([^}]*)\}", text):
            for label, value in re.findall(r'(\w+)="([^"]*)"', matchers):
                if label not in FOREIGN_LABELS:
                    assert any(found.get(label) == value for found in samples[name]), (name, value)
                    checked += 1
    assert checked > 10


def test_the_dashboard_needs_no_edits() -> None:
    """It names the data source that is provisioned, and nothing that is to be filled in."""
    provisioned = ROOT / "docker" / "grafana" / "provisioning" / "datasources" / "prometheus.yml"
    assert "uid: prometheus\n" in provisioned.read_text()
    panels: list[dict[str, Any]] = DASHBOARD["panels"]
    for panel in panels:
        assert panel["datasource"] == {"type": "prometheus", "uid": "prometheus"}
        assert panel["targets"]
    assert "__inputs" not in DASHBOARD
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (row, column)
            for row in range(place["y"], place["y"] + place["h"])
            for column in range(place["x"], place["x"] + place["w"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells


@pytest.mark.long
def test_promtool_reads_the_dashboard_and_the_rules(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    expressions = [text.replace("$__rate_interval", "1m") for text in dashboard_expressions()]
    rules = [{"record": f"panel:{n}", "expr": text} for n, text in enumerate(expressions)]
    panels = tmp_path / "panels.yml"
    panels.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    for arguments in (
        ["check", "rules", str(panels)],
        ["test", "rules", str(RULES.with_name("rules_test.yml"))],
    ):
        done = subprocess.run([promtool, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test_and_says_what_to_do() -> None:
    alerts = set(re.findall(r"- alert: (\w+)", RULES.read_text()))
    assert len(alerts) > 8
    tested = set(re.findall(r"alertname: (\w+)", RULES.with_name("rules_test.yml").read_text()))
    assert alerts == tested
    assert alerts == set(re.findall(r"^\| `(Solo\w+)` \|", OPERATIONS, re.M))


def test_the_compose_files_hand_on_every_setting() -> None:
    """The first one those of the keys too: a rate that does not arrive would be no rate."""
    named = {*re.findall(r"(SOLO_(?!GATEWAY_)[A-Z_]+):(?!-)", COMPOSE)}
    settings = {f"SOLO_{name.upper()}" for name in Settings.model_fields}
    assert settings - {"SOLO_PORT", "SOLO_KEYS_FILE", "SOLO_MODEL_KEY"} == named
    assert "SOLO_KEYS_FILE: /run/secrets/keys" in SECURE
    assert "SOLO_MODEL_KEY: /run/secrets/model-key" in SIGNED


def test_the_compose_file_hands_on_every_setting_of_the_gateway() -> None:
    named = {*re.findall(r"(SOLO_GATEWAY_[A-Z_]+):(?!-)", COMPOSE)}
    settings = {f"SOLO_GATEWAY_{name.upper()}" for name in GatewaySettings.model_fields}
    assert settings - {"SOLO_GATEWAY_PORT", "SOLO_GATEWAY_METRICS_PORT"} == named


def test_the_operator_finds_each_of_the_stacks_settings_with_its_default() -> None:
    (table,) = re.findall(r"^\| in `.env` .*\n((?:\|.*\n)+)", OPERATIONS, re.MULTILINE)
    documented: dict[str, str] = {}
    for names, defaults in re.findall(r"^\| (`.+?) \| (.+?) \|", table, re.MULTILINE):
        values = re.findall(r"`(.+?)`", defaults)
        documented |= zip(re.findall(r"`(.+?)`", names), values, strict=False)
    files = COMPOSE + SECURE + SIGNED
    taken = {
        name: default
        for name, default in re.findall(r"\$\{([A-Z_]+):-([^}]*)\}", files)
        if not name.startswith("SOLO_") and not name.endswith("_IMAGE")
    }
    assert documented.pop("COMPOSE_FILE") == "docker-compose.yml"
    assert documented == {n: d for n, d in taken.items() if n not in ("VERSION", "COMMIT")}
    assert not re.search(r"\$\{[A-Z_]+\}", files), "a default is missing"


def test_images_and_memory_are_said_alike_wherever_they_are_said() -> None:
    dockerfile = (ROOT / "docker" / "app.Dockerfile").read_text()
    (base,) = re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", dockerfile, re.MULTILINE)
    assert f"${{PYTHON_IMAGE:-{base}}}" in COMPOSE
    limits = re.findall(r"memory: \"?(\$\{\w*MEMORY:-\w+\}|256m|1g)", COMPOSE)
    assert {*limits} == {*re.findall(r"memswap_limit: (\S+)", COMPOSE)}
