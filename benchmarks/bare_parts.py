"""The least that an answer costs: each part by itself, with nothing around it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pydicom

from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox
from solo.contract.manifest import INPUT_NAME, OUTPUT_NAMES, Manifest
from solo.masks.rle import encode


@dataclass(frozen=True)
class BareParts:
    """Functions to time, in the order of an answer."""

    parts: dict[str, Callable[[], object]]

    def sample(self) -> dict[str, float]:
        """One round of all parts: seconds of each."""
        times = {}
        for name, part in self.parts.items():
            started = perf_counter()
            part()
            times[name] = perf_counter() - started
        return times


def open_session(model: Path, threads: int) -> ort.InferenceSession:
    """The graph as the service opens it on a CPU."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def bare_parts(film: bytes, session: ort.InferenceSession) -> BareParts:
    """The parts for one uncompressed DICOM film: parse, look-up, resize, run, two masks."""
    manifest = Manifest.from_metadata(session.get_modelmeta().custom_metadata_map)
    stored = _parse(film)
    table = np.linspace(0, 255, 1 << 16).astype(np.uint8)
    grey = np.asarray(cv2.LUT(stored, table)).astype(np.uint8)
    letterbox = Letterbox.fit((stored.shape[0], stored.shape[1]), manifest.canvas_size)
    resized_size = (letterbox.width, letterbox.height)
    canvas = letterbox.apply(grey)
    feeds = {INPUT_NAME: canvas[None, None]}
    scores, labels, masks = session.run(list(OUTPUT_NAMES), feeds)
    found = Instances.from_outputs(scores[0], labels[0], masks[0]).select(0.0, 2)
    return BareParts(
        {
            "parse": lambda: _parse(film),
            "table look-up": lambda: cv2.LUT(stored, table),
            "resize": lambda: cv2.resize(grey, resized_size, interpolation=cv2.INTER_AREA),
            "session's run": lambda: session.run(list(OUTPUT_NAMES), feeds),
            "two masks": lambda: [
                runs.compressed() for runs in encode(found, letterbox, manifest.mask_threshold)
            ],
        }
    )


def medians(samples: list[dict[str, float]]) -> dict[str, float]:
    """The median of each part."""
    return {name: median(sample[name] for sample in samples) for name in samples[0]}


def _parse(film: bytes) -> npt.NDArray[Any]:
    dataset = pydicom.dcmread(io.BytesIO(film))
    return np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
