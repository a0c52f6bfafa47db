"""PNG files with a text chunk that says what they are."""

from __future__ import annotations

import struct
import zlib
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

_END_CHUNK_BYTES: Final = 12


def encode_png(
    picture: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], about: str | None = None
) -> bytes:
    """A PNG file.

    Args:
        picture: uint8 or uint16 [H, W], or uint8 [H, W, 3] BGR.
        about: ASCII text for a `Comment`, or None for no text at all.
    """
    encoded = cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    if about is None:
        return encoded
    body = b"tEXtComment\0" + about.encode("ascii")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return encoded[:-_END_CHUNK_BYTES] + chunk + encoded[-_END_CHUNK_BYTES:]
