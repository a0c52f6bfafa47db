"""The model: what the service needs of one, and ONNX Runtime as the one that computes."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from app.cores import usable_cores
from app.providers import session_providers
from app.settings import Provider
from model.contract.instances import Instances
from model.contract.manifest import INPUT_NAME, OUTPUT_NAMES, Manifest, ManifestError

_OUTPUT_TYPES = {"scores": "tensor(float)", "labels": "tensor(int64)", "masks": "tensor(uint8)"}
_ERRORS_ONLY = 3
_TIMED_RUNS = 3
# What ONNX Runtime, its arena, CUDA, cuDNN and TensorRT say when memory is short.
_NO_MEMORY = re.compile(
    r"out of memory|failed to allocate|bad_alloc|OUT_OF_MEMORY|ALLOC_FAILED", re.IGNORECASE
)


class ModelError(Exception):
    """A model that cannot be served; the message is one sentence for the operator."""


class InferenceError(Exception):
    """A run whose outputs cannot be believed."""


class DeviceMemoryError(InferenceError):
    """The device has too little memory for this batch."""


class ProviderChangedError(InferenceError):
    """Something else computes than what was asked for and announced."""


class Engine(Protocol):
    """A model that is ready to run, whatever computes it.

    Attributes:
        manifest: what the model file says of itself.
        sha256: of the model file, hexadecimal.
        provider: the execution provider that is active.
        batch_sizes: the closed set of batch sizes, ascending, 1 the first.
    """

    manifest: Manifest
    sha256: str
    provider: str
    batch_sizes: tuple[int, ...]

    def warm_up(self) -> dict[int, float]:
        """Runs every batch size, so that no request pays for the first run of a shape.

        Returns:
            Seconds that a run of each batch size takes once it is warm.
        """

    def reopen(self) -> None:
        """Starts anew on the device, as after a fault that outlives the run that met it.

        Raises:
            Exception: if that is not possible.
        """

    def run(self, images: npt.NDArray[np.float32]) -> list[Instances]:
        """Segments a batch.

        Args:
            images: float32 [N, 1, H, W] in [0, 1], N at most the largest batch size.

        Returns:
            The instances of each image, in order.

        Raises:
            DeviceMemoryError: if a smaller batch may succeed.
            ProviderChangedError: if the runtime went over to another provider.
            Exception: whatever else the runtime raises, and `InferenceError`.
        """


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
        self._session = _open(path, provider)
        self.provider: str = self._session.get_providers()[0]
        try:
            metadata = self._session.get_modelmeta().custom_metadata_map
            self.manifest = Manifest.from_metadata(metadata)
        except ManifestError as error:
            raise ModelError(f"{path}: {error}") from error
        _check_graph(self._session, self.manifest, path)

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
        self._session = _open(self._path, self._asked)
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
        expected = [(size, *shape) for shape in _row_shapes(self.manifest)]
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


def check_outputs(
    images: npt.NDArray[np.float32],
    scores: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    masks: npt.NDArray[np.uint8],
    classes: int,
) -> None:
    """Refuses what no sound model answers.

    Args:
        images: float32 [N, 1, H, W].
        scores: float32 [N, K], probabilities in descending order.
        labels: int64 [N, K], below `classes`; -1 exactly where the score is 0.
        masks: uint8 [N, K, h, w].
        classes: number of classes.

    Raises:
        InferenceError: for values beyond these, and for one answer to different images.
    """
    if not np.isfinite(scores).all():
        raise InferenceError("the model answered with scores that are not finite")
    if scores.min(initial=0) < 0 or scores.max(initial=0) > 1 or (np.diff(scores) > 0).any():
        raise InferenceError("the model answered with scores that are not falling from 1 to 0")
    if labels.min(initial=-1) < -1 or labels.max(initial=-1) >= classes:
        raise InferenceError("the model answered with a label that has no name")
    if ((labels < 0) != (scores == 0)).any():
        raise InferenceError("the model answered with scores where there is no instance")
    # A device that repeats its last answer passes every other check.
    for one in range(len(images) - 1):
        same = scores[one, 0] > 0 and (scores[one] == scores[one + 1]).all()
        if same and (masks[one] == masks[one + 1]).all() and (images[one] != images[one + 1]).any():
            raise InferenceError("the model gave different images one answer")


def closed_batch_sizes(max_batch: int) -> tuple[int, ...]:
    """Powers of two below the largest batch size, and that: (1, 2, 4, 6) for 6."""
    powers = [1 << exponent for exponent in range(max_batch.bit_length())]
    return tuple(sorted({*powers, max_batch}))


def _open(path: Path, provider: Provider) -> Any:  # noqa: ANN401 (the runtime has no types)
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    # A spinning pool burns the cores that decode the next image.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    compiled_in = ort.get_available_providers()
    for providers in session_providers(provider):
        wanted = providers[0] if isinstance(providers[0], str) else providers[0][0]
        if wanted not in compiled_in:
            raise ModelError(
                f"SOLO_PROVIDER={provider}, but this ONNX Runtime has no {wanted}: it has "
                + ", ".join(compiled_in)
            )
        on_cpu = wanted == "CPUExecutionProvider"
        options.intra_op_num_threads = usable_cores() if on_cpu else 1
        try:
            session = ort.InferenceSession(path, options, providers=providers)
        except Exception as error:
            raise ModelError(
                f"the model {path} cannot be opened by ONNX Runtime {ort.__version__}: "
                + " ".join(str(error).split())
            ) from error
        # The runtime gives a CPU session for a CUDA request without an exception.
        active = session.get_providers()[0]
        if active == wanted:
            session.disable_fallback()  # else a run that fails there goes on elsewhere
            return session
    raise ModelError(
        f"SOLO_PROVIDER={provider}, but {wanted} did not become active: ONNX Runtime fell back "
        f"to {active}"
    )


def _row_shapes(manifest: Manifest) -> list[tuple[int, ...]]:
    """Shapes of scores, labels and masks for one image."""
    count = manifest.max_instances
    height, width = (-(-side // manifest.mask_stride) for side in manifest.canvas_size)
    return [(count,), (count,), (count, height, width)]


def _check_graph(session: Any, manifest: Manifest, path: Path) -> None:  # noqa: ANN401
    """Compares the graph's signature with the manifest; symbolic sizes are left to the warm-up."""
    shapes = dict(zip(OUTPUT_NAMES, _row_shapes(manifest), strict=True))
    expected = {
        INPUT_NAME: ("tensor(float)", (1, *manifest.canvas_size)),
        **{name: (_OUTPUT_TYPES[name], shape) for name, shape in shapes.items()},
    }
    found = {
        node.name: (node.type, tuple(node.shape))
        for node in (*session.get_inputs(), *session.get_outputs())
    }
    if found.keys() != expected.keys():
        raise ModelError(f"{path}: the graph has {sorted(found)}, but needs {sorted(expected)}")
    for name, (kind, row) in expected.items():
        found_kind, (batch, *found_row) = found[name][0], found[name][1] or (None,)
        fits = len(found_row) == len(row) and all(
            size == want for size, want in zip(found_row, row, strict=True) if isinstance(size, int)
        )
        if found_kind != kind or not fits:
            raise ModelError(
                f"{path}: '{name}' is {found_kind} {[batch, *found_row]}, but the manifest means "
                f"{kind} {['N', *row]}"
            )
        if isinstance(batch, int):
            raise ModelError(f"{path}: '{name}' has a fixed batch size of {batch}")
