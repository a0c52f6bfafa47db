"""Optimisation steps: gradients of a whole batch, from its parts and its processes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.configuration.recipe import Preset
from model.data.coco import CocoDataset
from model.data.dataset import TrainingStream
from model.data.film_cache import share_of_memory
from model.data.objects import Objects
from model.network.solo_network import SoloNetwork
from model.training.averaging import average_of
from model.training.criterion import Criterion
from model.training.distributed import ProcessGroup, share
from model.training.mixed_precision import autocast, gradient_scaler, in_float32
from model.training.optimisation import build_optimizer, learning_rate_factor

_ONE_VALUE = "Expected more than 1 value per channel"  # torch's sentence on a batch norm
_TOO_SMALL = (
    "a canvas of {} x {} is a single pixel where the backbone ends, of which batch norms learn "
    "nothing with one film at a time: give a larger --canvas, more films (--batch-size above "
    "--accumulate), or --frozen-batch-norm"
)
_SMALLEST_SCALE = 1.0  # of a float16 loss; below it overflow is no matter of scale


class NonFiniteLossError(RuntimeError):
    """The loss or its gradient is infinite or not a number; the message names step and images."""


class Steps:
    """Optimisation steps of a network, and the running average of its weights.

    Args:
        network: already on its device.
        preset: its configuration and recipe.
        data: the films to train on.
        seed: of the order of the films and of every augmentation.
        workers: processes that share the memory for films.
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
        train = preset.train
        self.part = self.group.part_of(train.batch_size, train.accumulate)
        self.films = [record.image_id for record in data.images]
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
        network.backbone.requires_grad_(not train.frozen_backbone)
        self.optimizer = build_optimizer(network, train)
        self.device = next(network.parameters()).device
        self.scaler = gradient_scaler(self.device, train.precision)
        self.average = average_of(network, train.ema_decay)
        self.wrapped = self.group.wrap(network)
        self.step = 0

    @property
    def averaged(self) -> SoloNetwork:
        """The network with the averaged weights, the one to evaluate and export."""
        network = self.average.module
        assert isinstance(network, SoloNetwork)
        return network.eval()

    def _train_step(
        self, images: Tensor, objects: list[Objects], signal_number: int = 0
    ) -> dict[str, float]:
        """One step.

        Args:
            images: this process's part of the batch.
            objects: on them.
            signal_number: that this process got, or 0.

        Returns:
            The whole batch's losses, the gradient's norm, the rate, and the `signal` that some
            process got.
        """
        train = self.preset.train
        factor = learning_rate_factor(self.step, train)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        self.optimizer.zero_grad(set_to_none=True)
        losses = self._backward(images, objects)
        values = {name: float(value) for name, value in self.group.total(losses).items()}
        if not torch.isfinite(torch.tensor(list(values.values()))).all():
            raise NonFiniteLossError(
                f"the loss is not finite at step {self.step}: {values}; {self._batch_name()}"
            )
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
        signal_number = self.group.highest(signal_number)
        rate = train.learning_rate * factor
        return {**values, "gradient_norm": float(norm), "rate": rate, "signal": signal_number}

    def _backward(self, images: Tensor, objects: list[Objects]) -> dict[str, Tensor]:
        """Adds up the gradients of the parts of a batch; returns its losses, in float32."""
        parts = self.preset.train.accumulate
        moved = [move(each, self.device) for each in objects]
        positives = self.group.positives(moved, self.preset.model, parts)
        size, found = len(moved) // parts, []
        for first in range(0, len(moved), size):
            own = slice(first, first + size)
            with self.group.exchange(self.wrapped, last=first + size == len(moved)):
                losses = self._losses(images[own], moved[own])
                losses = share(losses, moved[own], self.preset.model, positives)
                # A group's gradients are averaged, but the parts of its losses add up.
                total = torch.stack(list(losses.values())).sum() * self.group.size
                self.scaler.scale(total).backward()
            found.append({name: value.detach() for name, value in losses.items()})
        return {name: torch.stack([each[name] for each in found]).sum() for name in found[0]}

    def _losses(self, images: Tensor, objects: list[Objects]) -> dict[str, Tensor]:
        train = self.preset.train
        self.network.train()
        if train.frozen_batch_norm or train.frozen_backbone:
            _freeze_statistics(self.network.backbone)
        with autocast(self.device, train.precision):
            try:
                outputs = self.wrapped(images.to(self.device, memory_format=torch.channels_last))
            except ValueError as error:
                if not str(error).startswith(_ONE_VALUE):
                    raise
                raise ValueError(_TOO_SMALL.format(*images.shape[2:])) from None
        return self.criterion(in_float32(outputs), objects)

    def _batch_name(self) -> str:
        size = self.preset.train.batch_size
        first = self.step * size
        ids = [self.stream.film(place).image_id for place in range(first, first + size)]
        return f"the batch has the images {', '.join(map(str, ids))}"


def _freeze_statistics(backbone: nn.Module) -> None:
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d | nn.SyncBatchNorm):
            module.eval()


def move(objects: Objects, device: torch.device) -> Objects:
    """The same objects on a device."""
    return Objects(objects.masks.to(device), objects.boxes.to(device), objects.labels.to(device))
