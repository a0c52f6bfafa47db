"""ONNX Runtime sessions, on the provider that was asked for or not at all."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import onnxruntime as ort

from solo.inference.engine import ModelError
from solo.inference.providers import CPU, Provider, ProviderList

_ERRORS_ONLY = 3
_NO_GRAPH = "graph capture"  # in ONNX Runtime's refusals
_WEIGHTS_APART = re.compile(r"external (data|tensors)", re.IGNORECASE)  # in others of them
_FOLDER_OF_WEIGHTS = "session.model_external_initializers_file_folder_path"


def open_session(
    model: bytes,
    path: Path,
    provider: Provider,
    candidates: list[ProviderList],
    cores: int,
) -> Any:  # noqa: ANN401 (the runtime has no types)
    """Opens a model to run it.

    Args:
        model: the bytes of an ONNX file, which alone are what was checked.
        path: of that file, for sentences.
        provider: the setting.
        candidates: what it allows, from `session_providers`; the first that becomes active is
            taken.
        cores: threads of a run on the CPU.

    Raises:
        ModelError: if the file cannot be opened, or none of the providers becomes active.
    """
    options = _options()
    # A spinning pool burns the cores that decode the next image.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    compiled_in = ort.get_available_providers()
    for providers in candidates:
        wanted = providers[0] if isinstance(providers[0], str) else providers[0][0]
        if wanted not in compiled_in:
            raise ModelError(
                f"the provider is set to {provider}, but this ONNX Runtime has no {wanted}: it has "
                + ", ".join(compiled_in)
            )
        options.intra_op_num_threads = cores if wanted == CPU else 1
        session = _open(model, path, options, providers)
        # The runtime gives a CPU session for a CUDA request without an exception.
        active = session.get_providers()[0]
        if active == wanted:
            session.disable_fallback()  # else a run that fails there goes on elsewhere
            return session
    raise ModelError(
        f"the provider is set to {provider}, but {wanted} did not become active: ONNX Runtime "
        f"fell back to {active}"
    )


def open_unoptimised(model: bytes, path: Path) -> Any:  # noqa: ANN401
    """Opens a model to read what it says of itself, on the CPU and without preparing it.

    Raises:
        ModelError: if the file cannot be opened.
    """
    options = _options()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return _open(model, path, options, [CPU])


def _options() -> Any:  # noqa: ANN401
    options = ort.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    # Weights in another file are in no hash, and behind no signature: none is looked for.
    options.add_session_config_entry(_FOLDER_OF_WEIGHTS, os.devnull)
    return options


def _open(model: bytes, path: Path, options: Any, providers: ProviderList) -> Any:  # noqa: ANN401
    try:
        session = ort.InferenceSession(model, options, providers=providers)
        session._model_bytes = None  # held for a fallback that is switched off
        return session
    except Exception as error:
        reason = " ".join(str(error).split())
        if _NO_GRAPH in reason:
            raise ModelError(
                "CUDA graphs are asked for, but not all of this model's operations run on the GPU, "
                f"so that they cannot be recorded as one graph: {reason}"
            ) from error
        if _WEIGHTS_APART.search(reason):
            raise ModelError(
                f"the model {path} has weights in another file: export it into one file"
            ) from error
        raise ModelError(
            f"the model {path} cannot be opened by ONNX Runtime {ort.__version__}: {reason}"
        ) from error
