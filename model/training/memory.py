"""Memory of a step: measured with one film and with two before a run, and a batch that fits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from model.configuration.recipe import Preset
from model.data.dataset import TrainingStream
from model.network.solo_network import SoloNetwork
from model.training.criterion import Criterion
from model.training.mixed_precision import autocast, in_float32
from model.training.step import move

_GIB = 2**30
_FILLED = 0.8  # of the free memory: later films may have more objects
_POWERS = 11  # batches of 1 to 1024 films


class Meter(Protocol):
    """Counts the memory of a device, in bytes."""

    def start(self) -> None:
        """Sets the highest use back to the present one."""

    def highest(self) -> int:
        """The highest use since the start."""

    def free(self) -> int:
        """What could be taken now."""


class ProcessMeter:
    """Resident memory of this process, by Linux's high-water mark."""

    def start(self) -> None:
        """Resets the mark (proc(5), /proc/pid/clear_refs)."""
        Path("/proc/self/clear_refs").write_text("5")

    def highest(self) -> int:
        """`VmHWM`."""
        return _kibibytes("/proc/self/status", "VmHWM")

    def free(self) -> int:
        """What the machine has available, or the control group if that is less."""
        free = _kibibytes("/proc/meminfo", "MemAvailable")
        group = Path("/sys/fs/cgroup")
        try:
            limit = int((group / "memory.max").read_text())
            free = min(free, limit - int((group / "memory.current").read_text()))
        except (OSError, ValueError):  # none, or "max"
            pass
        return free


class GpuMeter:
    """Memory that torch holds on a GPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def start(self) -> None:
        """Resets torch's peak."""
        torch.cuda.reset_peak_memory_stats(self._device)

    def highest(self) -> int:
        """Torch's peak."""
        return torch.cuda.max_memory_allocated(self._device)

    def free(self) -> int:
        """What the driver has free, and torch holds unused."""
        unused = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(
            self._device
        )
        return torch.cuda.mem_get_info(self._device)[0] + unused


@dataclass(frozen=True)
class StepMemory:
    """Memory that a step takes beside what was held before, in bytes.

    Attributes:
        fixed: whatever the batch: gradients, the optimiser's state, work space.
        per_film: for each film that is computed at once.
        free: what could be taken.
    """

    fixed: int
    per_film: int
    free: int

    def of(self, films: int) -> int:
        """A step's memory with so many films at once."""
        return self.fixed + films * self.per_film

    def largest_batch(self) -> int:
        """The largest power of two that fits into four fifths of the free memory; 0 for none."""
        fits = [2**power for power in range(_POWERS) if self.of(2**power) <= _FILLED * self.free]
        return max(fits, default=0)

    def describe(self, films: int, parts: int) -> str:
        """What a step of so many films in so many parts takes, and what to do if that is much."""
        at_once = -(-films // parts)
        said = (
            f"a step takes about {self.of(at_once) / _GIB:.2f} GiB of memory beside what is held "
            f"now ({self.per_film / _GIB:.3f} GiB a film, measured with one film and with two); "
            f"{self.free / _GIB:.1f} GiB are free"
        )
        if self.of(at_once) <= self.free:
            return said
        return (
            f"{said}. That does not fit: --accumulate {films} would take "
            f"{self.of(1) / _GIB:.2f} GiB; a smaller --canvas-size or --batch-size takes less too"
        )


def meter_of(device: torch.device) -> Meter:
    """The meter of a device."""
    return GpuMeter(device) if device.type == "cuda" else ProcessMeter()


def measure_step(
    network: SoloNetwork, preset: Preset, stream: TrainingStream, meter: Meter
) -> StepMemory:
    """Measures forward and backward passes that leave no trace in the network.

    Args:
        network: on its device.
        preset: its configuration and recipe.
        stream: whose first films are taken.
        meter: of that device.

    Raises:
        OSError: where memory cannot be measured.
    """
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # no stub
    free = meter.free()
    meter.start()
    before = meter.highest()
    taken = []
    for films in (1, 2):
        meter.start()
        _try(network, preset, stream, films)
        taken.append(max(0, meter.highest() - before))
    per_film = max(0, taken[1] - taken[0])
    moments = 2 if preset.train.optimizer == "adamw" else 1
    state = 4 * moments * sum(p.numel() for p in network.parameters() if p.requires_grad)
    return StepMemory(max(0, taken[0] - per_film) + state, per_film, free)


def _try(network: SoloNetwork, preset: Preset, stream: TrainingStream, films: int) -> None:
    device = next(network.parameters()).device
    samples = [stream[place % len(stream)] for place in range(films)]
    images = torch.stack([image for image, _ in samples])
    network.eval()  # keeps running statistics as they are, and takes as much memory
    with autocast(device, preset.train.precision):
        outputs = network(images.to(device, memory_format=torch.channels_last))
    objects = [move(each, device) for _, each in samples]
    losses = Criterion(preset.model)(in_float32(outputs), objects)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    total = torch.stack(list(losses.values())).sum()
    torch.autograd.grad(total, trained, allow_unused=True)


def _kibibytes(path: str, name: str) -> int:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return 1024 * int(value.split()[0])
    raise OSError(f"{path} has no {name}")
