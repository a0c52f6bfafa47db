"""PNG files with a text chunk that says what they are."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import asdict
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from solo.contract.manifest import RESEARCH_USE_ONLY
from solo.result import Result

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


def describe(result: Result, **more: str) -> str:
    """Text for a picture of a result: the model, the file's hash and the instances.

    Args:
        result: nothing else of its file is told.
        more: told beside, such as the id of a request.
    """
    return json.dumps(
        {
            "notice": RESEARCH_USE_ONLY,
            **more,
            "model": asdict(result.model),
            "sha256": result.sha256,
            "instances": [
                {
                    "label": instance.label,
                    "category_id": instance.category_id,
                    "score": instance.score,
                    "bbox": instance.bbox,
                    "area": instance.area,
                }
                for instance in result.instances
            ],
        }
    )
