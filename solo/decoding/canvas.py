"""A decoded frame as the network and as a person sees it: on the canvas, and in 8 bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from solo.contract.greyscale import Grey
from solo.contract.letterbox import Letterbox


def on_canvas(pixels: Grey, canvas_size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Letterboxes a frame.

    Args:
        pixels: uint8 or uint16 [height, width].
        canvas_size: (height, width) of the model's canvas.

    Returns:
        float32 [canvas height, canvas width] in [0, 1].
    """
    height, width = pixels.shape
    return Letterbox.fit((height, width), canvas_size).apply(pixels)


def in_8_bits(pixels: Grey) -> npt.NDArray[np.uint8]:
    """A frame's most significant 8 bits, for those who draw on it."""
    return (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels.astype(np.uint8)
