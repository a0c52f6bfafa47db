"""ONNX Runtime as the inference engine."""

from __future__ import annotations

import re
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from solo.contract.instances import Instances
from solo.contract.manifest import INPUT_NAME
from solo.inference.engine import (
    DeviceMemoryError,
    InferenceError,
    Prediction,
    ProviderChangedError,
)
from solo.inference.io_binding import BoundSession
from solo.inference.model_file import ModelFile
from solo.inference.output_checks import check_outputs, model_outputs
from solo.inference.providers import (
    CPU,
    NOTHING_BESIDES,
    GpuOptions,
    Provider,
    cuda_options,
    session_providers,
)
from solo.inference.session import open_session
from solo.inference.tensorrt import tensorrt_options

Images = npt.NDArray[np.float32]

_TIMED_RUNS = 3
# What ONNX Runtime, its arena, CUDA, cuDNN and TensorRT say when memory is short.
_NO_MEMORY = re.compile(
    r"out.?of.?memory|failed to allocate|smaller than requested bytes|bad_alloc"
    r"|ALLOC(ATION)?_FAILED",
    re.IGNORECASE,
)


class OnnxEngine:
    """A self-describing ONNX file in ONNX Runtime; an `Engine`.

    Args:
        file: written by `python -m export`.
        provider: the setting.
        max_batch: most images in memory at once: the largest batch size, or that of all runs on a
            processor together.
        gpu: what is asked of a GPU besides.
        cores: processor cores that runs may use together.

    Raises:
        ModelError: if the file cannot be opened to run it, or if the provider that was asked for
            does not become active.
    """

    def __init__(
        self,
        file: ModelFile,
        provider: Provider,
        max_batch: int,
        gpu: GpuOptions = NOTHING_BESIDES,
        *,
        cores: int,
    ) -> None:
        self.batch_sizes = closed_batch_sizes(max_batch)
        self._file, self._asked, self._gpu = file, provider, gpu
        self._cores = cores
        self.manifest, self.sha256 = file.manifest, file.sha256
        self._outputs = model_outputs(file.manifest)
        self._session: Any
        self._bound: BoundSession | None = None
        self.provider = self._open()
        self.runs_at_once = 1
        if self.provider == CPU:
            # Two runs on two cores are done sooner than one after the other on both, and a run's
            # work is divided in the same way whoever else runs: its answer is the same to the bit.
            self.runs_at_once = min(cores, max_batch)
            self.batch_sizes = closed_batch_sizes(max_batch // self.runs_at_once)

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
        self._open()
        self._check_provider()
        self.warm_up()

    def run(self, images: npt.NDArray[np.float32]) -> list[Prediction]:
        """See `Engine`. Batches are padded up to the closed set of sizes."""
        count = len(images)
        size = next(size for size in self.batch_sizes if size >= count)
        if size > count:
            padding = np.zeros((size - count, *images.shape[1:]), np.float32)
            images = np.concatenate([images, padding])
        try:
            outputs = self._compute(images)
        except Exception as error:
            if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
                raise DeviceMemoryError(f"no memory for a batch of {size}") from error
            raise
        self._check_provider()
        shapes = [output.shape for output in outputs]
        expected = [(size, *output.row) for output in self._outputs]
        if shapes != expected:
            raise InferenceError(f"the model answered with shapes {shapes}, not {expected}")
        scores, labels, masks, *more = (output[:count] for output in outputs)
        far = more[0] if more else None
        check_outputs(images[:count], scores, labels, masks, len(self.manifest.class_names), far)
        found = map(Instances.from_outputs, scores, labels, masks)
        return list(map(Prediction, found, [None] * count if far is None else far.tolist()))

    def _open(self) -> str:
        tensorrt = tensorrt_options(self._file, self.batch_sizes, self._gpu.engine_cache)
        candidates = session_providers(self._asked, cuda_options(self._gpu), tensorrt)
        model = self._file.read_again()
        self._bound = self._session = None  # their memory is needed
        self._session = open_session(model, self._file.path, self._asked, candidates, self._cores)
        active: str = self._session.get_providers()[0]
        if active != CPU:  # which computes in the program's own memory: nothing is won there
            graphs = self._gpu.cuda_graphs
            self._bound = BoundSession(self._session, self.manifest, cuda_graphs=graphs)
        return active

    def _compute(self, images: Images) -> list[npt.NDArray[Any]]:
        if self._bound is not None:
            return self._bound.run(images)
        outputs: list[npt.NDArray[Any]] = self._session.run(
            [output.name for output in self._outputs], {INPUT_NAME: images}
        )
        return outputs

    def _check_provider(self) -> None:
        active = self._session.get_providers()[0]
        if active != self.provider:
            raise ProviderChangedError(f"{active} computes, and no longer {self.provider}")

    def _timed(self, images: Images) -> float:
        started = perf_counter()
        self.run(images)
        return perf_counter() - started


def closed_batch_sizes(max_batch: int) -> tuple[int, ...]:
    """Powers of two below the largest batch size, and that: (1, 2, 4, 6) for 6."""
    powers = [1 << exponent for exponent in range(max_batch.bit_length())]
    return tuple(sorted({*powers, max_batch}))
