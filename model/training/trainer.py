"""Training loop with checkpoints, exact resume, validation and an end in order."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader, Subset

from model.cli import Interrupted
from model.configuration.recipe import Preset
from model.data.coco import CocoDataset
from model.data.dataset import collate
from model.data.objects import Objects
from model.data.seen_films import content_digest, film_digests
from model.network.checkpoint import (
    TRAINED_FILMS,
    CheckpointError,
    load_checkpoint,
    load_weights,
    save_checkpoint,
)
from model.network.solo_network import SoloNetwork
from model.training.distributed import ProcessGroup
from model.training.interruption import Interruption, leave_signals_to_the_trainer
from model.training.observers import Log, Validator
from model.training.progress import Means, Progress
from model.training.resumption import check_same_content, check_same_run, describe_length
from model.training.step import Steps


class Trainer(Steps):
    """Trains a network and keeps the running average of its weights.

    Args:
        network: already on its device.
        preset: its configuration and recipe.
        data: the films to train on.
        seed: of the order of the films and of every augmentation.
        workers: processes that prepare samples; 0 prepares them in this one.
        group: the processes that train together, each with its part of every batch.
    """

    def __init__(
        self,
        network: SoloNetwork,
        preset: Preset,
        data: CocoDataset,
        seed: int,
        workers: int = 0,
        group: ProcessGroup | None = None,
    ) -> None:
        super().__init__(network, preset, data, seed, workers, group)
        self.workers = workers
        self.data = data
        self.seen_before: tuple[str, ...] = ()  # by the weights that the run started from
        self.stopped = False  # early, by a validation
        self._recent = Means()

    @property
    def passes(self) -> float:
        """Passes over the films, so far."""
        return self.step * self.preset.train.batch_size / len(self.films)

    def run(
        self,
        checkpoint: Path,
        save_every: int = 200,
        log: Log | None = None,
        validation: Validator | None = None,
    ) -> None:
        """Trains to the last iteration or until a validation stops it, saving as it goes.

        Args:
            checkpoint: is replaced.
            save_every: steps from one checkpoint to the next.
            log: of the group's first process.
            validation: in every process; the first one's is asked. The best network's weights go
                into `best.pt` beside the checkpoint.

        Raises:
            NonFiniteLossError: with the step and its images, before the weights are touched.
            Interrupted: after Ctrl-C or SIGTERM, once the step is done and saved.
        """
        first, progress = self.group.rank == 0, Progress(self)
        with progress, Interruption(patient=self.group.size > 1) as interruption:
            for images, objects in self._batches() if not self.stopped else ():
                if log is not None:
                    log.pictures(self.step, images, objects)
                values = self._train_step(images, objects, interruption.signal_number)
                signal_number = int(values.pop("signal"))
                self._recent.add(values)
                if log is not None:
                    log.scalars(self.step, values)
                progress.advance(values)
                done = self.step == self.preset.train.iterations
                if validation is not None and (done or self.step % validation.every == 0):
                    self.stopped = self._validate(validation, checkpoint.with_name("best.pt"))
                done = done or self.stopped
                if first and (done or signal_number or self.step % save_every == 0):
                    self.save(checkpoint, validation)
                if signal_number and not done:
                    raise Interrupted(
                        signal_number,
                        f"interrupted after step {self.step}, which is saved: the same command "
                        "goes on from there",
                    )
                if done:
                    break
        if validation is not None and first:
            validation.finish(self.averaged)

    def _validate(self, validation: Validator, best: Path) -> bool:
        """Asks the first process's validation; whether to stop, for all."""
        stop = False
        if self.group.rank == 0:
            means = self._recent.take()
            verdict = validation.after(self.step, self.passes, means, self.averaged)
            stop = verdict.stop
            if verdict.is_best:
                weights = self.averaged.state_dict()
                seen = {"weights": weights, TRAINED_FILMS: self._trained_films}
                save_checkpoint(best, self.preset, seen)
        return bool(self.group.highest(int(stop)))

    def save(self, path: Path, validation: Validator | None = None) -> None:
        """Writes a checkpoint from which `resume` goes on as if nothing had happened."""
        state = {
            "step": self.step,
            "seed": self.seed,
            "films": self.films,
            "content": self._content,
            TRAINED_FILMS: self._trained_films,
            "weights": self.averaged.state_dict(),
            "last_weights": self.network.state_dict(),
            "averaged_steps": self.average.n_averaged,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "recent": self._recent.state(),
            "stopped": self.stopped,
            "validation": None if validation is None else validation.state(),
        }
        save_checkpoint(path, self.preset, state)

    def resume(self, path: Path, validation: Validator | None = None) -> str | None:
        """Goes on from a checkpoint of the same run, which may have been of another length.

        Returns:
            What the schedule does where the length is another.

        Raises:
            CheckpointError: if it is of another network, recipe, seed or set of films, if a film or
                an outline has changed, or if it holds weights only.
        """
        preset, state = load_checkpoint(path)
        check_same_run(path, (preset, state), (self.preset, self.seed, self.films))
        check_same_content(path, state, self._content)
        try:
            self._restore(state)
            if validation is not None and state.get("validation") is not None:
                validation.restore(state["validation"])
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{path} cannot be resumed, a part is damaged: {error}"
            ) from error
        length = describe_length(self.step, preset, self.preset)
        self.stopped = self.stopped and length is None
        return length

    def _restore(self, state: dict[str, Any]) -> None:
        load_weights(self.network, state["last_weights"])
        load_weights(self.averaged, state["weights"])
        self.average.n_averaged.copy_(state["averaged_steps"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state.get("scaler", {}))
        self._recent.restore(state.get("recent", {}))
        self.stopped = bool(state.get("stopped", False))
        self.step = int(state["step"])
        self.seen_before = tuple(state.get(TRAINED_FILMS, ()))

    @cached_property
    def _trained_films(self) -> list[str]:
        return sorted({*self.seen_before, *self.own_films})

    @cached_property
    def _content(self) -> str:
        return content_digest(self.data)

    @cached_property
    def own_films(self) -> frozenset[str]:
        """Digests of the films that this run trains on."""
        return frozenset(film_digests(self.data).values())

    def _batches(self) -> Iterator[tuple[Tensor, list[Objects]]]:
        """This process's part of every batch that is left."""
        size, total = self.preset.train.batch_size, self.preset.train.iterations
        places = [step * size + place for step in range(self.step, total) for place in self.part]
        yield from DataLoader(
            Subset(self.stream, places),
            batch_size=len(self.part),
            num_workers=self.workers,
            collate_fn=collate,
            persistent_workers=False,
            worker_init_fn=leave_signals_to_the_trainer,
        )
