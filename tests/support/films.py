"""Films for tests: two dark lungs in a bright chest, and files of them."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import numpy.typing as npt

Film = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


def chest(height: int = 70, width: int = 60) -> npt.NDArray[np.uint16]:
    """A 12-bit film, uint16 [height, width], without noise."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    film: npt.NDArray[np.float64] = 1500 + 1200 * np.exp(-(x**2 + y**2))
    for center in (-0.4, 0.4):
        film -= 900 * (((x - center) / 0.3) ** 2 + (y / 0.6) ** 2 < 1)
    return film.astype(np.uint16)


def flat(grey: int, height: int = 64, width: int = 64) -> npt.NDArray[np.uint8]:
    """An image of one grey."""
    return np.full((height, width), grey, np.uint8)


def png(pixels: Film) -> bytes:
    """A PNG file of uint8 or uint16 [H, W] or [H, W, 3 or 4]."""
    return cv2.imencode(".png", pixels)[1].tobytes()


def jpeg(pixels: Film) -> bytes:
    """A JPEG file of uint8 [H, W] or [H, W, 3]."""
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_header_only(height: int, width: int) -> bytes:
    """A small PNG that promises a large image."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + png_chunk(b"IHDR", header)
        + png_chunk(b"IDAT", zlib.compress(bytes(1000)))
        + png_chunk(b"IEND", b"")
    )
