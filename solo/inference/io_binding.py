"""I/O binding: runs whose input and outputs have fixed places in a device's memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from solo.contract.manifest import INPUT_NAME, Manifest
from solo.inference.output_checks import model_outputs


class BoundSession:
    """Runs of a session, each batch size with memory of its own that is taken once.

    The runtime then allocates nothing for input and outputs during a run, and a CUDA graph, which
    replays addresses, can be recorded.

    Args:
        session: of ONNX Runtime, open.
        manifest: of the model in it.
        device: `cuda`, or `cpu` to run the same code without one.
        cuda_graphs: whether the session records a graph for each batch size.
    """

    def __init__(
        self,
        session: Any,  # noqa: ANN401 (the runtime has no types)
        manifest: Manifest,
        device: str = "cuda",
        *,
        cuda_graphs: bool = False,
    ) -> None:
        self._session, self._device = session, device
        self._canvas_size, self._outputs = manifest.canvas_size, model_outputs(manifest)
        self._buffers: dict[int, tuple[Any, Any, Any]] = {}
        # ONNX Runtime keeps a recorded graph for the thread that recorded it; another thread would
        # record its own, in the middle of a request.
        self._thread = ThreadPoolExecutor(1, "cuda-graphs") if cuda_graphs else None

    def run(self, images: npt.NDArray[np.float32]) -> list[npt.NDArray[Any]]:
        """Runs one batch.

        Args:
            images: float32 [N, 1, H, W].

        Returns:
            The outputs for N images in the order of `model_outputs`, arrays that no later run
            writes to.

        Raises:
            Exception: whatever the runtime raises.
        """
        if self._thread is None:
            return self._run(images)
        return self._thread.submit(self._run, images).result()

    def _run(self, images: npt.NDArray[np.float32]) -> list[npt.NDArray[Any]]:
        if len(images) not in self._buffers:
            self._buffers[len(images)] = self._take(len(images))
        place, binding, options = self._buffers[len(images)]
        place.update_inplace(images)
        binding.synchronize_inputs()
        self._session.run_with_iobinding(binding, options)
        binding.synchronize_outputs()
        outputs: list[npt.NDArray[Any]] = binding.copy_outputs_to_cpu()
        return outputs

    def _take(self, count: int) -> tuple[Any, Any, Any]:
        """For a batch size: where its images go, what is bound, and which graph replays it."""
        binding = self._session.io_binding()
        images = self._memory((count, 1, *self._canvas_size), np.float32)
        binding.bind_ortvalue_input(INPUT_NAME, images)
        for output in self._outputs:
            memory = self._memory((count, *output.row), output.dtype)
            binding.bind_ortvalue_output(output.name, memory)
        options = ort.RunOptions()
        options.add_run_config_entry("gpu_graph_id", str(count))  # 0 is the runtime's own
        return images, binding, options

    def _memory(self, shape: tuple[int, ...], dtype: type) -> Any:  # noqa: ANN401
        return ort.OrtValue.ortvalue_from_shape_and_type(shape, dtype, self._device, 0)
