"""Sessions of ONNX Runtime, on the provider that was asked for or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime as ort

from app.inference.cores import usable_cores
from app.inference.engine import ModelError
from app.inference.providers import session_providers
from app.settings import Provider

_ERRORS_ONLY = 3


def open_session(path: Path, provider: Provider) -> Any:  # noqa: ANN401 (the runtime has no types)
    """Opens a model file.

    Args:
        path: an ONNX file.
        provider: the setting; of several that it allows, the first that becomes active.

    Raises:
        ModelError: if the file cannot be opened, or none of the providers becomes active.
    """
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
