"""MLflow and Weights & Biases, where they are installed: curves beside TensorBoard's."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from model.data.objects import Objects
from model.training.observers import Log

_EVERY = 10  # steps from one point of a curve to the next, as in TensorBoard's


class Mlflow:
    """A run of MLflow, where `MLFLOW_TRACKING_URI` says, else in the working directory."""

    def __init__(self, out: Path, settings: dict[str, Any]) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        self._mlflow = _installed("mlflow")
        self._mlflow.start_run(run_name=out.name)
        self._mlflow.log_params(settings)

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Adds a point to each curve, at every so many steps."""
        if step % _EVERY == 0:
            self._mlflow.log_metrics(values, step=step)

    def pictures(self, step: int, images: Tensor, batch: list[Objects]) -> None:
        """No films leave the run's folder."""

    def close(self) -> None:
        """Ends the run."""
        self._mlflow.end_run()


class WeightsAndBiases:
    """A run of W&B in the run's folder; it stays there unless `WANDB_MODE=online` is set."""

    def __init__(self, out: Path, settings: dict[str, Any]) -> None:
        mode = os.environ.get("WANDB_MODE", "offline")
        self._run = _installed("wandb").init(
            project="solo-xray", name=out.name, dir=str(out), config=settings, mode=mode
        )

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Adds a point to each curve, at every so many steps."""
        if step % _EVERY == 0:
            self._run.log(values, step=step)

    def pictures(self, step: int, images: Tensor, batch: list[Objects]) -> None:
        """No films leave the run's folder."""

    def close(self) -> None:
        """Ends the run."""
        self._run.finish()


TRACKERS: dict[str, Callable[[Path, dict[str, Any]], Log]] = {
    "mlflow": Mlflow,
    "wandb": WeightsAndBiases,
}


def check_installed(name: str) -> None:
    """Checks that a tracker can be had, before anything long begins.

    Raises:
        ValueError: if its package is not installed.
    """
    _installed(name)


def _installed(package: str) -> Any:  # noqa: ANN401  # a module
    try:
        return importlib.import_module(package)
    except ImportError:
        raise ValueError(
            f"--log {package} needs the package {package}, which is not installed here: "
            f"`pip install {package}`, or leave the option out; TensorBoard's files are written "
            "in any case"
        ) from None
