"""The training loop."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from model.checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from model.coco import CocoDataset
from model.config import Preset, TrainConfig
from model.criterion import Criterion
from model.dataset import TrainingStream, collate
from model.segmenter import Segmenter
from model.targets import Objects


class NonFiniteLossError(RuntimeError):
    """The loss or its gradient is infinite or not a number; the message says at which step."""


class Trainer:
    """Trains a network and keeps the running average of its weights.

    Args:
        segmenter: the network, already on its device.
        preset: its configuration and recipe.
        data: the films to train on.
        seed: of the order of the films and of every augmentation.
        workers: processes that prepare samples; 0 prepares them in this one.
    """

    def __init__(
        self, segmenter: Segmenter, preset: Preset, data: CocoDataset, seed: int, workers: int = 0
    ) -> None:
        # Depthwise convolutions train a quarter faster on a CPU in this layout.
        segmenter.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # no stub
        self.segmenter = segmenter
        self.preset = preset
        self.seed = seed
        self.workers = workers
        train = preset.train
        self.films = [record.image_id for record in data.images]
        length = train.iterations * train.batch_size
        self.stream = TrainingStream(data, preset.model.canvas_size, length, seed)
        self.criterion = Criterion(preset.model)
        self.optimizer = torch.optim.AdamW(_parameter_groups(segmenter, train))
        self.average = AveragedModel(
            segmenter, multi_avg_fn=get_ema_multi_avg_fn(train.ema_decay), use_buffers=True
        )
        self.step = 0

    @property
    def averaged(self) -> Segmenter:
        """The network with the averaged weights, the one to evaluate and export."""
        segmenter = self.average.module
        assert isinstance(segmenter, Segmenter)
        return segmenter.eval()

    def run(self, checkpoint: Path, save_every: int = 200) -> None:
        """Trains to the last iteration, saving as it goes.

        Raises:
            NonFiniteLossError: with the step, before the weights are touched.
        """
        total = self.preset.train.iterations
        with tqdm(total=total, initial=self.step, unit="step", smoothing=0.05) as progress:
            for images, objects in self._batches():
                losses = self._train_step(images, objects)
                progress.set_postfix({name: f"{loss:.3f}" for name, loss in losses.items()})
                progress.update()
                if self.step % save_every == 0 or self.step == total:
                    self.save(checkpoint)

    def save(self, path: Path) -> None:
        """Writes a checkpoint from which `resume` goes on as if nothing had happened."""
        state = {
            "step": self.step,
            "seed": self.seed,
            "films": self.films,
            "weights": self.averaged.state_dict(),
            "last_weights": self.segmenter.state_dict(),
            "averaged_steps": self.average.n_averaged,
            "optimizer": self.optimizer.state_dict(),
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
        self.segmenter.load_state_dict(state["last_weights"])
        self.average.module.load_state_dict(state["weights"])
        self.average.n_averaged.copy_(state["averaged_steps"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]

    def _batches(self) -> Iterator[tuple[Tensor, list[Objects]]]:
        first = self.step * self.preset.train.batch_size
        rest = Subset(self.stream, range(first, len(self.stream)))
        yield from DataLoader(
            rest,
            batch_size=self.preset.train.batch_size,
            num_workers=self.workers,
            collate_fn=collate,
            persistent_workers=False,
        )

    def _train_step(self, images: Tensor, objects: list[Objects]) -> dict[str, float]:
        device = next(self.segmenter.parameters()).device
        factor = learning_rate_factor(self.step, self.preset.train)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        self.segmenter.train()
        outputs = self.segmenter(images.to(device, memory_format=torch.channels_last))
        losses: dict[str, Tensor] = self.criterion(outputs, [_move(o, device) for o in objects])
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            values = {name: float(loss.detach()) for name, loss in losses.items()}
            raise NonFiniteLossError(f"the loss is not finite at step {self.step}: {values}")
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(self.segmenter.parameters(), self.preset.train.clip_norm)
        if not torch.isfinite(norm):
            raise NonFiniteLossError(f"the gradient is not finite at step {self.step}")
        self.optimizer.step()
        self.average.update_parameters(self.segmenter)
        self.step += 1
        return {name: float(loss.detach()) for name, loss in losses.items()}


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Part of the peak rate at a step: a linear rise, then a cosine to 1 %.

    A run shorter than ten warm-ups warms up for a tenth of its length, so that it never ends before
    it has begun.
    """
    warmup = min(config.warmup_iterations, max(1, config.iterations // 10))
    if step < warmup:
        return (step + 1) / warmup
    progress = (step - warmup) / max(1, config.iterations - warmup)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress))


def _parameter_groups(segmenter: Segmenter, config: TrainConfig) -> list[dict[str, Any]]:
    """Backbone and the rest at their own rates; no decay on norms and biases."""
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in segmenter.named_parameters():
        in_backbone = name.startswith("backbone.")
        peak = config.backbone_learning_rate if in_backbone else config.learning_rate
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((peak, decay), []).append(parameter)
    return [
        {"params": parameters, "lr": peak, "peak": peak, "weight_decay": decay}
        for (peak, decay), parameters in groups.items()
    ]


def _move(objects: Objects, device: torch.device) -> Objects:
    return Objects(objects.masks.to(device), objects.boxes.to(device), objects.labels.to(device))
