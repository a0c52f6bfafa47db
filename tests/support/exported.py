"""The tiny network, exported once for all tests of a run."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from export.onnx_export import export
from export.parity import Parity
from model.data.coco import load_coco
from model.network.solo_network import SoloNetwork
from solo.contract.letterbox import Letterbox
from tests.support.coco_folder import disc_folder
from tests.support.tiny import lively, tiny_config

ABOUT: dict[str, Any] = {
    "name": "tiny",
    "version": "1.2.3",
    "score_threshold": 0.25,
    "training_data": "none",
    "licence": "Apache-2.0",
    "attribution": "nobody",
    "metrics": {"ap": 0.125},
    "metrics_on": "nothing",
}


class Exported(NamedTuple):
    """The network, the ONNX file's bytes, and what the comparison found."""

    network: SoloNetwork
    model: bytes
    parity: Parity


def film_canvases(count: int = 6) -> npt.NDArray[np.float32]:
    """Films of discs and bars on the tiny canvas, float32 [count, 1, 64, 64]."""
    rng = np.random.default_rng(11)
    canvases = []
    for _ in range(count):
        size = (int(rng.integers(60, 140)), int(rng.integers(60, 140)))
        film = np.full(size, int(rng.integers(20, 70)), np.uint8)
        for _ in range(3):
            centre = (int(rng.uniform(0, size[1])), int(rng.uniform(0, size[0])))
            cv2.circle(film, centre, int(rng.integers(5, 40)), int(rng.integers(90, 255)), -1)
        film = cv2.add(film, rng.integers(0, 12, size).astype(np.uint8)).astype(np.uint8)
        canvases.append(Letterbox.fit(size, (64, 64)).apply(film))
    return np.stack(canvases)[:, None]


@cache
def exported() -> Exported:
    """Exports on the first call; takes some seconds."""
    return _export(0)


@cache
def scored() -> Exported:
    """The same with an out-of-distribution output, fitted on discs of 45 patients."""
    return _export(45)


def _export(patients: int) -> Exported:
    network = lively(tiny_config())
    with TemporaryDirectory() as folder:
        out = Path(folder) / "tiny.onnx"
        data = [load_coco(disc_folder(Path(folder) / "films", patients))] if patients else []
        parity = export(network, ABOUT, film_canvases(), out, data)
        return Exported(network, out.read_bytes(), parity)
