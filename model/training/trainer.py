"""Training loop with checkpoints, exact resume and averaged weights."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from model.configuration.recipe import Preset
from model.data.coco import CocoDataset
from model.data.dataset import TrainingStream, collate
from model.data.film_cache import share_of_memory
from model.data.objects import Objects
from model.data.seen_films import film_digests
from model.network.checkpoint import (
    TRAINED_FILMS,
    CheckpointError,
    load_checkpoint,
    load_weights,
    save_checkpoint,
)
from model.network.solo_network import SoloNetwork
from model.training.criterion import Criterion
from model.training.distributed import ProcessGroup
from model.training.mixed_precision import autocast, gradient_scaler, in_float32
from model.training.optimisation import build_optimizer, learning_rate_factor
from model.training.tensorboard import RunLog

_SMALLEST_SCALE = 1.0  # of a float16 loss; below it overflow is no matter of scale


class NonFiniteLossError(RuntimeError):
    """The loss or its gradient is infinite or not a number; the message names step and images."""


class Trainer:
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
        self.group = group or ProcessGroup()
        # Depthwise convolutions train a quarter faster on a CPU in this layout.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # no stub
        self.network = network
        self.preset = preset
        self.seed = seed
        self.workers = workers
        train = preset.train
        self.part = self.group.part_of(train.batch_size)
        self.data = data
        self.films = [record.image_id for record in data.images]
        self.seen_before: tuple[str, ...] = ()  # by the weights that the run started from
        length = train.iterations * train.batch_size
        self.stream = TrainingStream(
            data,
            preset.model.canvas_size,
            length,
            seed,
            train.augmentation,
            share_of_memory(workers),
        )
        self.criterion = Criterion(preset.model)
        self.optimizer = build_optimizer(network, train)
        self.device = next(network.parameters()).device
        self.scaler = gradient_scaler(self.device, train.precision)
        self.average = AveragedModel(
            network, multi_avg_fn=get_ema_multi_avg_fn(train.ema_decay), use_buffers=True
        )
        self.wrapped = self.group.wrap(network)
        self.step = 0

    @property
    def averaged(self) -> SoloNetwork:
        """The network with the averaged weights, the one to evaluate and export."""
        network = self.average.module
        assert isinstance(network, SoloNetwork)
        return network.eval()

    def run(self, checkpoint: Path, save_every: int = 200, log: RunLog | None = None) -> None:
        """Trains to the last iteration, saving as it goes.

        Raises:
            NonFiniteLossError: with the step and its images, before the weights are touched.
        """
        total, first = self.preset.train.iterations, self.group.rank == 0
        with tqdm(
            total=total, initial=self.step, unit="step", smoothing=0.05, disable=not first
        ) as progress:
            for images, objects in self._batches():
                if log is not None:
                    log.pictures(self.step, images, objects)
                values = self._train_step(images, objects)
                if log is not None:
                    log.scalars(self.step, values)
                progress.set_postfix(
                    {name: f"{values[name]:.3f}" for name in ("category", "mask")}, refresh=False
                )
                progress.update()
                if first and (self.step % save_every == 0 or self.step == total):
                    self.save(checkpoint)

    def save(self, path: Path) -> None:
        """Writes a checkpoint from which `resume` goes on as if nothing had happened."""
        state = {
            "step": self.step,
            "seed": self.seed,
            "films": self.films,
            TRAINED_FILMS: self._trained_films,
            "weights": self.averaged.state_dict(),
            "last_weights": self.network.state_dict(),
            "averaged_steps": self.average.n_averaged,
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        save_checkpoint(path, self.preset, state)

    def resume(self, path: Path) -> None:
        """Goes on from a checkpoint of the same run.

        Raises:
            CheckpointError: if it is of another network, recipe, seed or set of films, or holds
                weights only.
        """
        preset, state = load_checkpoint(path)
        if "optimizer" not in state:
            raise CheckpointError(f"{path} holds weights only: start from it with --weights")
        if preset != self.preset or state.get("seed") != self.seed:
            raise CheckpointError(f"{path} is of a run with other settings: it cannot be resumed")
        if state.get("films") != self.films:
            raise CheckpointError(f"{path} is of a run on other films: it cannot be resumed")
        try:
            self._restore(state)
        except (LookupError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"{path} cannot be resumed, a part is damaged: {error}"
            ) from error

    def _restore(self, state: dict[str, Any]) -> None:
        load_weights(self.network, state["last_weights"])
        load_weights(self.averaged, state["weights"])
        self.average.n_averaged.copy_(state["averaged_steps"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state.get("scaler", {}))
        self.step = int(state["step"])
        self.seen_before = tuple(state.get(TRAINED_FILMS, ()))

    @cached_property
    def _trained_films(self) -> list[str]:
        return sorted({*self.seen_before, *film_digests(self.data).values()})

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
        )

    def _train_step(self, images: Tensor, objects: list[Objects]) -> dict[str, float]:
        """One step; returns the whole batch's losses, the gradient's norm and the rate."""
        train = self.preset.train
        factor = learning_rate_factor(self.step, train)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        losses = self._losses(images, objects)
        values = {name: float(value) for name, value in self.group.total(losses).items()}
        if not torch.isfinite(torch.tensor(list(values.values()))).all():
            raise NonFiniteLossError(
                f"the loss is not finite at step {self.step}: {values}; {self._batch_name()}"
            )
        self.optimizer.zero_grad(set_to_none=True)
        # A group's gradients are averaged, but the parts of its losses add up.
        total = torch.stack(list(losses.values())).sum() * self.group.size
        self.scaler.scale(total).backward()
        self.scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), train.clip_norm)
        # A scaled float16 gradient may overflow: the scaler then skips the step and scales less.
        may_overflow = self.scaler.is_enabled() and self.scaler.get_scale() > _SMALLEST_SCALE
        if not may_overflow and not torch.isfinite(norm):
            raise NonFiniteLossError(
                f"the gradient is not finite at step {self.step}; {self._batch_name()}"
            )
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.average.update_parameters(self.network)
        self.step += 1
        return {**values, "gradient_norm": float(norm), "rate": train.learning_rate * factor}

    def _losses(self, images: Tensor, objects: list[Objects]) -> dict[str, Tensor]:
        """This process's part of the batch's losses, in float32."""
        train = self.preset.train
        self.network.train()
        if train.frozen_batch_norm:
            _freeze_statistics(self.network.backbone)
        with autocast(self.device, train.precision):
            outputs = self.wrapped(images.to(self.device, memory_format=torch.channels_last))
        moved = [_move(each, self.device) for each in objects]
        losses = self.criterion(in_float32(outputs), moved)
        return self.group.share(losses, moved, self.preset.model)

    def _batch_name(self) -> str:
        size = self.preset.train.batch_size
        first = self.step * size
        ids = [self.stream.film(place).image_id for place in range(first, first + size)]
        return f"the batch has the images {', '.join(map(str, ids))}"


def _freeze_statistics(backbone: nn.Module) -> None:
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm):
            module.eval()


def _move(objects: Objects, device: torch.device) -> Objects:
    return Objects(objects.masks.to(device), objects.boxes.to(device), objects.labels.to(device))
