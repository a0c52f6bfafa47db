"""The library: bytes of radiographs in, instances out. No web, no PACS, no cluster, no torch.

`Segmenter` is for programs without an event loop, `AsyncSegmenter` for those with one. Both are
loaded when they are asked for: a sandboxed decoder holds nothing but decoders.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

# ONNX Runtime, as it is distributed, reports each session to its maker and keeps an identifier on
# disk. It looks for this once, while it is loaded. Nothing leaves a process for patients' films.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.2.0"

if TYPE_CHECKING:
    from solo.async_segmenter import AsyncSegmenter, StartError
    from solo.errors import SoloError
    from solo.events import Events
    from solo.file import RadiographFile
    from solo.inference.engine import ModelError, ModelIdentity
    from solo.options import Options
    from solo.result import (
        Instance,
        OutOfDistribution,
        PixelSpacing,
        RadiographInfo,
        Result,
        Timings,
    )
    from solo.sandbox.pool import Sandbox
    from solo.segmenter import Segmenter

_HOMES = {
    "AsyncSegmenter": "solo.async_segmenter",
    "Events": "solo.events",
    "Instance": "solo.result",
    "ModelError": "solo.inference.engine",
    "ModelIdentity": "solo.inference.engine",
    "Options": "solo.options",
    "OutOfDistribution": "solo.result",
    "PixelSpacing": "solo.result",
    "RadiographFile": "solo.file",
    "RadiographInfo": "solo.result",
    "Result": "solo.result",
    "Sandbox": "solo.sandbox.pool",
    "Segmenter": "solo.segmenter",
    "SoloError": "solo.errors",
    "StartError": "solo.async_segmenter",
    "Timings": "solo.result",
}
__all__ = [
    "AsyncSegmenter",
    "Events",
    "Instance",
    "ModelError",
    "ModelIdentity",
    "Options",
    "OutOfDistribution",
    "PixelSpacing",
    "RadiographFile",
    "RadiographInfo",
    "Result",
    "Sandbox",
    "Segmenter",
    "SoloError",
    "StartError",
    "Timings",
]


def __getattr__(name: str) -> object:
    """Loads a public name from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
