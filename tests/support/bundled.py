"""The bundled model, its float16 variant, and films to ask them about."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnx

from export.half import halve
from solo.contract.letterbox import Letterbox
from solo.contract.manifest import Manifest
from solo.inference.self_test import self_test_image

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "model/zoo/cxr-lungs.onnx"


def write_half(path: Path) -> Path:
    """Writes the model's float16 variant, as `python -m export.half` does with films."""
    given = onnx.load(MODEL)
    half = halve(given)
    metadata = {entry.key: entry.value for entry in given.metadata_props}
    sha256 = hashlib.sha256(MODEL.read_bytes()).hexdigest()
    document = Manifest.from_metadata(metadata).model_copy(
        update={"precision": "float16", "float32_sha256": sha256}
    )
    onnx.helper.set_model_props(half, document.to_metadata())
    onnx.save(half, path)
    return path


def chest_canvases() -> dict[str, npt.NDArray[np.float32]]:
    """Films with lungs on the model's canvas, float32 [1, 1, 256, 256] each, by what they are."""
    size = (256, 256)
    example = cv2.imread(str(ROOT / "examples/chest.png"), cv2.IMREAD_GRAYSCALE)
    assert example is not None
    letterbox = Letterbox.fit((example.shape[0], example.shape[1]), size)
    chest = letterbox.apply(example.astype(np.uint8))
    canvases = {
        "drawn": self_test_image(size),
        "example": chest,
        "mirrored": np.ascontiguousarray(chest[:, ::-1]),
        "pale": 0.6 + 0.4 * chest,
    }
    return {name: canvas[None, None] for name, canvas in canvases.items()}
