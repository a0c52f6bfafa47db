"""Progress of a run: its length in words, the progress bar, and mean losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from model.configuration.recipe import TrainConfig

if TYPE_CHECKING:
    from model.training.trainer import Trainer


def describe_run(train: TrainConfig, films: int) -> str:
    """How long a run is: "2000 steps of 8: 166 passes over 96 films"."""
    passes = train.iterations * train.batch_size / films
    said = f"{passes:.1f}" if passes < 10 else f"{int(passes)}"
    parts = f" (in {train.accumulate} parts each)" if train.accumulate > 1 else ""
    return (
        f"{train.iterations} steps of {train.batch_size}{parts}: {said} passes over {films} films"
    )


class Progress:
    """Progress bar of a run's first process: losses, films a second and passes."""

    def __init__(self, trainer: Trainer) -> None:
        train = trainer.preset.train
        self._trainer = trainer
        self._films = train.batch_size
        self._passes = train.iterations * train.batch_size / len(trainer.films)
        self._bar = tqdm(
            total=train.iterations,
            initial=trainer.step,
            unit="step",
            smoothing=0.05,
            disable=trainer.group.rank > 0,
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def advance(self, values: dict[str, float]) -> None:
        """Counts a step and shows its losses."""
        self._bar.update()
        shown = {name: f"{values[name]:.3f}" for name in ("category", "mask")}
        shown["pass"] = f"{self._trainer.passes:.1f}/{self._passes:.1f}"
        rate = self._bar.format_dict["rate"]
        if rate:
            shown["films/s"] = f"{rate * self._films:.1f}"
        self._bar.set_postfix(shown, refresh=False)


class Means:
    """Means of a step's values since they were last taken."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._count = 0

    def add(self, values: dict[str, float]) -> None:
        """Counts the values of a step."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        self._count += 1

    def take(self) -> dict[str, float]:
        """The means, of which the next ones are free."""
        means = {name: total / self._count for name, total in self._sums.items()}
        self._sums, self._count = {}, 0
        return means

    def state(self) -> dict[str, Any]:
        """Plain values for `restore`."""
        return {"sums": dict(self._sums), "count": self._count}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint."""
        self._sums, self._count = dict(state.get("sums", {})), int(state.get("count", 0))
