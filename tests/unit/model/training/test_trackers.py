"""MLflow and W&B by stand-ins that note what they are told; neither is installed here."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from model.training.observers import Logs
from model.training.trackers import TRACKERS, check_installed


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> MagicMock:
    module = MagicMock()
    for name in TRACKERS:
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    return module


def test_mlflow_gets_points_and_ends(stand_in: MagicMock, tmp_path: Path) -> None:
    log = Logs(TRACKERS["mlflow"](tmp_path / "mine", {"batch_size": 2}))
    for step in range(1, 21):
        log.scalars(step, {"mask": float(step)})
    log.close()
    stand_in.start_run.assert_called_once_with(run_name="mine")
    points = [
        (call.args[0]["mask"], call.kwargs["step"]) for call in stand_in.log_metrics.mock_calls
    ]
    assert points == [(10, 10), (20, 20)]
    stand_in.end_run.assert_called_once()


def test_wandb_stays_offline_unless_told(
    stand_in: MagicMock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    TRACKERS["wandb"](tmp_path, {})
    assert stand_in.init.call_args.kwargs["mode"] == "offline"
    monkeypatch.setenv("WANDB_MODE", "online")
    TRACKERS["wandb"](tmp_path, {}).scalars(10, {"mask": 1.0})
    assert stand_in.init.call_args.kwargs["mode"] == "online"
    stand_in.init.return_value.log.assert_called_once_with({"mask": 1.0}, step=10)


@pytest.mark.parametrize("name", sorted(TRACKERS))
def test_what_is_not_installed_is_a_sentence(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=f"--log {name} needs the package {name}"):
        check_installed(name)
