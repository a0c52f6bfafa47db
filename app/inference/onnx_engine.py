"""ONNX Runtime as what computes."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from time import perf_counter

import numpy as np
import numpy.typing as npt

from app.inference.checks import check_graph, check_outputs, row_shapes
from app.inference.engine import (
    DeviceMemoryError,
    InferenceError,
    ModelError,
    ProviderChangedError,
)
from app.inference.session import open_session
from app.settings import Provider
from model.contract.instances import Instances
from model.contract.manifest import INPUT_NAME, OUTPUT_NAMES, Manifest, ManifestError

_TIMED_RUNS = 3
# What ONNX Runtime, its arena, CUDA, cuDNN and TensorRT say when memory is short.
_NO_MEMORY = re.compile(
    r"out of memory|failed to allocate|bad_alloc|OUT_OF_MEMORY|ALLOC_FAILED", re.IGNORECASE
)


class OnnxEngine:
    """A self-describing ONNX file in ONNX Runtime; an `Engine`.

    Args:
        path: file written by `python -m export`.
        provider: the setting.
        max_batch: the largest batch size.

    Raises:
        ModelError: if the file is missing, broken, or not what its manifest says, or if the
            provider that was asked for does not become active.
    """

    def __init__(self, path: Path, provider: Provider, max_batch: int) -> None:
        self.batch_sizes = closed_batch_sizes(max_batch)
        try:
            self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise ModelError(f"the model {path} cannot be read: {error.strerror}") from error
        self._path, self._asked = path, provider
        self._session = open_session(path, provider)
        self.provider: str = self._session.get_providers()[0]
        try:
            metadata = self._session.get_modelmeta().custom_metadata_map
            self.manifest = Manifest.from_metadata(metadata)
        except ManifestError as error:
            raise ModelError(f"{path}: {error}") from error
        check_graph(self._session, self.manifest, path)

    def warm_up(self) -> dict[int, float]:
        """See `Engine`. The least of three runs counts: others may use the machine."""
        seconds = {}
        for size in self.batch_sizes:
            images = np.zeros((size, 1, *self.manifest.canvas_size), np.float32)
            self.run(images)
            seconds[size] = min(self._timed(images) for _ in range(_TIMED_RUNS))
        return seconds

    def reopen(self) -> None:
        """See `Engine`: a new session on the same file, which must be the file it was.

        Raises:
            ModelError: if it is another file or cannot be opened.
            ProviderChangedError: if the provider does not become active again.
        """
        if hashlib.sha256(self._path.read_bytes()).hexdigest() != self.sha256:
            raise ModelError(f"the model {self._path} is another file by now")
        self._session = None  # its memory is needed
        self._session = open_session(self._path, self._asked)
        self._check_provider()
        self.warm_up()

    def run(self, images: npt.NDArray[np.float32]) -> list[Instances]:
        """See `Engine`. Batches are padded up to the closed set of sizes."""
        count = len(images)
        size = next(size for size in self.batch_sizes if size >= count)
        if size > count:
            padding = np.zeros((size - count, *images.shape[1:]), np.float32)
            images = np.concatenate([images, padding])
        try:
            outputs = self._session.run(list(OUTPUT_NAMES), {INPUT_NAME: images})
        except Exception as error:
            if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
                raise DeviceMemoryError(f"no memory for a batch of {size}") from error
            raise
        self._check_provider()
        shapes = [output.shape for output in outputs]
        expected = [(size, *shape) for shape in row_shapes(self.manifest)]
        if shapes != expected:
            raise InferenceError(f"the model answered with shapes {shapes}, not {expected}")
        scores, labels, masks = (output[:count] for output in outputs)
        check_outputs(images[:count], scores, labels, masks, len(self.manifest.class_names))
        return [Instances.from_outputs(*row) for row in zip(scores, labels, masks, strict=True)]

    def _check_provider(self) -> None:
        active = self._session.get_providers()[0]
        if active != self.provider:
            raise ProviderChangedError(f"{active} computes, and no longer {self.provider}")

    def _timed(self, images: npt.NDArray[np.float32]) -> float:
        started = perf_counter()
        self.run(images)
        return perf_counter() - started


def closed_batch_sizes(max_batch: int) -> tuple[int, ...]:
    """Powers of two below the largest batch size, and that: (1, 2, 4, 6) for 6."""
    powers = [1 << exponent for exponent in range(max_batch.bit_length())]
    return tuple(sorted({*powers, max_batch}))
