"""Validation while training: AP of the averaged network on films that it is not trained on."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.cli import tell, tell_replacement
from model.data.coco import CocoDataset
from model.network.solo_network import SoloNetwork


@dataclass(frozen=True)
class Verdict:
    """What a validation says of the network.

    Attributes:
        is_best: it is better than all before.
        stop: there was no better one for as long as the patience lasts.
    """

    is_best: bool
    stop: bool


class Validation:
    """Measures AP, and remembers the best.

    Args:
        data: the films to validate on.
        every: steps from one validation to the next.
        patience: stop after so many validations without a better one.
        out: the run's folder, for `metrics.json`.
    """

    def __init__(self, data: CocoDataset, every: int, patience: int | None, out: Path) -> None:
        self.every = every
        self._data = data
        self._patience = patience
        self._out = out
        self._best = -1.0
        self._since = 0

    def after(
        self, step: int, passes: float, values: dict[str, float], network: SoloNetwork
    ) -> Verdict:
        """Validates after a step."""
        del values
        found = self._measure(network)["ap"] or 0.0
        is_best = found > self._best
        self._best, self._since = (found, 0) if is_best else (self._best, self._since + 1)
        tell(f"step {step}, pass {passes:.1f}: AP {found:.3f}, the best is {self._best:.3f}")
        return Verdict(is_best, self._patience is not None and self._since >= self._patience)

    def state(self) -> dict[str, Any]:
        """Plain values that `restore` takes."""
        return {"best": self._best, "since": self._since}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint."""
        self._best, self._since = float(state["best"]), int(state["since"])

    def finish(self, network: SoloNetwork) -> None:
        """Writes and prints the figures of the averaged network at the end."""
        path = self._out / "metrics.json"
        tell_replacement(path)
        text = json.dumps(self._measure(network), indent=1)
        path.write_text(text + "\n", encoding="utf-8")
        print(text)  # noqa: T201  # the command's answer

    def _measure(self, network: SoloNetwork) -> dict[str, float | None]:
        evaluate: Any = importlib.import_module("model.evaluate")  # of a layer above
        found: dict[str, float | None] = evaluate.measure(
            self._data, evaluate.predict(network, self._data)
        )
        return found
