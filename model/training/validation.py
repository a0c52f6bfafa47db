"""Validation while training: AP of the averaged network, the best checkpoint, early stopping."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from model.cli import tell, tell_replacement
from model.data.coco import CocoDataset, DatasetError
from model.evaluation.figures import draw_training, save_figures, save_picture
from model.evaluation.images import ImageQuality
from model.evaluation.measure import assess, headline, measure, predict
from model.evaluation.quality import Quality
from model.evaluation.report import draw_worst, write_metrics
from model.network.checkpoint import load_network
from model.network.solo_network import SoloNetwork
from model.training.about import TrainedOn, describe_films, write_about

BEST = "best.pt"
_FIGURES = ("ap", "ap50", "ap75", "dice", "right_count")
_NOT_LOSSES = {"step", "passes", "rate", "gradient_norm", *_FIGURES, "best"}
_WORST = 4  # films that are drawn at the end


@dataclass(frozen=True)
class Verdict:
    """What a validation says of the network.

    Attributes:
        is_best: its AP is higher than all before, and above 0.
        stop: the best is `patience` validations old.
    """

    is_best: bool
    stop: bool


class Validation:
    """Measures a network on films that it is not trained on, and keeps the curve.

    Args:
        data: the films to validate on.
        every: steps from one validation to the next, for whoever calls `after`.
        patience: validations without a better one after the best that end the run; None never
            does. They are not counted before something is found, since the first steps find
            nothing.
        out: the run's folder. `results.csv` is written there, and what `finish` makes.
        trained: what the network is trained on, for about.toml.

    Raises:
        ValueError: if no film of `data` shows an object, or `trained` has other classes.
    """

    def __init__(
        self,
        data: CocoDataset,
        every: int,
        patience: int | None,
        out: Path,
        trained: TrainedOn | None = None,
    ) -> None:
        if all(a.is_crowd for record in data.images for a in record.annotations):
            raise DatasetError(
                "No validation film shows an object, crowds aside: there is nothing to measure."
            )
        if trained is not None:
            data.labels_of(trained.data.class_names)
        self.data = data
        self.every = every
        self.patience = patience
        self.out = out
        self.trained = trained
        self._rows: list[dict[str, Any]] = []

    def after(
        self, step: int, passes: float, values: dict[str, float], network: SoloNetwork
    ) -> Verdict:
        """Measures the network and adds a row to results.csv.

        Dice and counts are of instances that score 0.3 or more, so that rows can be compared.

        Args:
            step: made so far.
            passes: over the training films, so far.
            values: mean losses since the last validation, and the rate.
            network: with the averaged weights; it stays as it is, and so do random numbers.

        Raises:
            ValueError: unless network and data set have the same classes.
        """
        with _undisturbed(network):
            figures = measure(self.data, predict(network, self.data))
        is_best = (figures["ap"] or 0) > max((row["ap"] or 0 for row in self._rows), default=0)
        row = {"step": step, "passes": round(passes, 3), **values, **figures, "best": is_best}
        self._rows.append(row)
        self._write_rows()
        said = f"step {step}, {passes:.1f} passes: AP {figures['ap'] or 0:.3f}"
        tqdm.write(f"{said}{', the best so far' if is_best else ''}", file=sys.stderr)
        return Verdict(is_best, self.patience is not None and self._since_best() >= self.patience)

    def state(self) -> dict[str, Any]:
        """Plain values from which `restore` goes on."""
        return {"rows": [dict(row) for row in self._rows]}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint: the next row drops what results.csv has of later steps.

        Nothing is written, since each process of a group restores.
        """
        self._rows = [dict(row) for row in state["rows"]]

    def finish(self, network: SoloNetwork) -> None:
        """Writes what a run leaves behind, of its best weights' answers on the validation films.

        These are metrics.json, thresholds.json, precision_recall.png, confusion.png, curves.png,
        worst/ and about.toml. Dice and counts are at the proposed threshold. Prints the headline
        metrics as JSON.

        Args:
            network: taken where the folder has no best.pt of this run.
        """
        self.out.mkdir(parents=True, exist_ok=True)
        self._write_rows()
        best = self._best(network)
        lowest = best.config.candidate_threshold
        with _undisturbed(best):
            quality, films = assess(self.data, predict(best, self.data), None, lowest)
        self._write_figures(quality, films)
        chosen = ["the threshold"] if quality.proposed else []
        chosen += ["the checkpoint"] if best is not network else []
        on = f"{describe_films(self.data)}, held out of the training"
        on += f"; chosen on them: {' and '.join(chosen)}" if chosen else ""
        about = self.out / "about.toml"
        write_about(about, best.config, self.trained, quality, on)
        told = headline(quality) | {"score_threshold": quality.score_threshold}
        print(json.dumps(told, indent=1))  # noqa: T201  # the command's answer
        said = "no score threshold is proposed, since nothing right was found"
        if quality.proposed:
            said = f"a score threshold of {quality.score_threshold:.2f} is proposed"
        tell(f"{said}; pictures are in {self.out}; before python -m export, complete {about}")

    def _write_figures(self, quality: Quality, films: list[ImageQuality]) -> None:
        tell_replacement(self.out / "metrics.json")
        write_metrics(self.out / "metrics.json", quality)
        proposed = None if quality.proposed is None else asdict(quality.proposed)
        text = json.dumps(proposed, indent=1, ensure_ascii=False)
        (self.out / "thresholds.json").write_text(text + "\n", encoding="utf-8")
        save_figures(self.out, quality)
        save_picture(self.out / "curves.png", draw_training(self._rows, self._losses()))
        worst = self.out / "worst"
        worst.mkdir(exist_ok=True)
        for old in worst.glob("worst-*.png"):
            old.unlink()
        draw_worst(worst, self.data, films, _WORST)

    def _best(self, network: SoloNetwork) -> SoloNetwork:
        path = self.out / BEST
        if not any(row["best"] for row in self._rows) or not path.exists():
            return network
        return load_network(path).to(next(network.parameters()).device)

    def _since_best(self) -> int:
        """Validations since the best; 0 where nothing was found yet."""
        best = [place for place, row in enumerate(self._rows) if row["best"]]
        return len(self._rows) - 1 - best[-1] if best else 0

    def _losses(self) -> list[str]:
        names = dict.fromkeys(name for row in self._rows for name in row)
        return [name for name in names if name not in _NOT_LOSSES]

    def _write_rows(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        names = list(dict.fromkeys(name for row in self._rows for name in row))
        partial = self.out / "results.csv.partial"
        with partial.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows({**row, "best": int(row["best"])} for row in self._rows)
        partial.replace(self.out / "results.csv")


@contextmanager
def _undisturbed(network: SoloNetwork) -> Iterator[None]:
    """Evaluation mode for a while; modes and random numbers are then as they were."""
    modes = [(module, module.training) for module in network.modules()]
    device = next(network.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        network.eval()
        try:
            yield
        finally:
            for module, training in modes:
                module.training = training
