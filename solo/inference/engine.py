"""Inference engine: the interface of whatever computes a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from solo.contract.instances import Instances
from solo.contract.manifest import Manifest


@dataclass(frozen=True)
class ModelIdentity:
    """The model that gave a result.

    Attributes:
        name: of the manifest.
        version: of the manifest.
        sha256: of the model file, hexadecimal.
        provider: the execution provider of ONNX Runtime that computed.
    """

    name: str
    version: str
    sha256: str
    provider: str


@dataclass(frozen=True)
class Prediction:
    """A model's answer for one image.

    Attributes:
        instances: what it finds.
        out_of_distribution: how far the image is from the training films, 0 or above, in units of
            the model's limit; None where the model has no such output.
    """

    instances: Instances
    out_of_distribution: float | None = None


class ModelError(Exception):
    """A model that cannot be served; the message is one sentence for the operator."""


class InferenceError(Exception):
    """A run whose outputs cannot be believed."""


class DeviceMemoryError(InferenceError):
    """The device has too little memory for this batch."""


class ProviderChangedError(InferenceError):
    """Something else computes than what was asked for and announced."""


class Engine(Protocol):
    """Inference engine: a model that is ready to run, whatever computes it.

    Attributes:
        manifest: what the model file says of itself.
        sha256: of the model file, hexadecimal.
        provider: the execution provider that is active.
        batch_sizes: the closed set of batch sizes, ascending, 1 the first.
        runs_at_once: how many threads may run it at the same time, and should.
    """

    manifest: Manifest
    sha256: str
    provider: str
    batch_sizes: tuple[int, ...]
    runs_at_once: int

    def warm_up(self) -> dict[int, float]:
        """Runs every batch size, so that no request pays for the first run of a shape.

        Returns:
            Seconds that a run of each batch size takes once it is warm, alone.
        """

    def reopen(self) -> None:
        """Starts anew on the device, as after a fault that outlives the run that met it.

        Raises:
            Exception: if that is not possible.
        """

    def run(self, images: npt.NDArray[np.float32]) -> list[Prediction]:
        """Segments a batch.

        Args:
            images: float32 [N, 1, H, W] in [0, 1], N at most the largest batch size.

        Returns:
            The answer for each image, in order.

        Raises:
            DeviceMemoryError: if a smaller batch may succeed.
            ProviderChangedError: if the runtime went over to another provider.
            Exception: whatever else the runtime raises, and `InferenceError`.
        """
