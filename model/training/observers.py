"""Who looks on while a network trains: protocols of logs and of validation."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from model.data.objects import Objects
from model.network.solo_network import SoloNetwork


class Log(Protocol):
    """Where curves and pictures go."""

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Takes the losses, the gradient's norm and the rate of a step."""

    def pictures(self, step: int, images: Tensor, batch: list[Objects]) -> None:
        """Takes a batch as the network sees it: float32 [N, 1, H, W] in [0, 1], and its objects."""

    def close(self) -> None:
        """Writes what is still in memory."""


class Verdict(Protocol):
    """What a validation says of the network."""

    @property
    def is_best(self) -> bool:
        """Whether it is better than all before."""

    @property
    def stop(self) -> bool:
        """Whether training on is in vain."""


class Validator(Protocol):
    """Measures the averaged network every so many steps, in the first process of a group."""

    @property
    def every(self) -> int:
        """Steps from one validation to the next."""

    def after(
        self, step: int, passes: float, values: dict[str, float], network: SoloNetwork
    ) -> Verdict:
        """Validates after a step.

        Args:
            step: made so far.
            passes: over the films, so far.
            values: mean losses since the last validation, and the rate.
            network: with the averaged weights.
        """

    def state(self) -> dict[str, Any]:
        """Plain values that `restore` takes, for the checkpoint."""

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a checkpoint."""

    def finish(self, network: SoloNetwork) -> None:
        """Called at the end, with the averaged network."""


class Logs:
    """Several logs as one."""

    def __init__(self, *logs: Log) -> None:
        self._logs = logs

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """To each."""
        for log in self._logs:
            log.scalars(step, values)

    def pictures(self, step: int, images: Tensor, batch: list[Objects]) -> None:
        """To each."""
        for log in self._logs:
            log.pictures(step, images, batch)

    def close(self) -> None:
        """Each."""
        for log in self._logs:
            log.close()
