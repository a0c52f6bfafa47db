"""Films to attack with: large ones that are legal, and flat JPEG 2000 of any code blocks."""

from __future__ import annotations

import struct
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless

from benchmarks.service_process import ROOT
from tests.support.dicom import dicom_file
from tests.support.encapsulated import encapsulated_file
from tests.support.films import png

SIDE = 7000
"""Of a film of 49 Mpx: just below the service's own limit."""


@cache
def small_film() -> npt.NDArray[np.uint8]:
    """The example film at a quarter of its side, uint8 [370, 310]."""
    film = cv2.imread(str(ROOT / "examples/chest.png"), cv2.IMREAD_GRAYSCALE)
    if film is None:
        raise FileNotFoundError("examples/chest.png")
    small = cv2.resize(film, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


@cache
def large_film() -> npt.NDArray[np.uint16]:
    """The example film, enlarged, uint16 [7000, 7000] of 12 bits."""
    large = cv2.resize(small_film(), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return large.astype(np.uint16) * 16


@cache
def large_png() -> bytes:
    """A PNG of 49 Mpx and 16 bits."""
    return png(large_film())


@cache
def large_deflated() -> bytes:
    """A deflated DICOM of 49 Mpx."""
    return dicom_file(
        large_film(), syntax=DeflatedExplicitVRLittleEndian, BitsStored=12, HighBit=11
    )


def flat_jpeg_2000(
    height: int,
    width: int,
    block_exponents: tuple[int, int] = (2, 2),
    codestream: bytes | None = None,
) -> bytes:
    """A small DICOM of one grey, as JPEG 2000 of empty packets (ISO 15444-1, A.6.1 and B.10).

    Args:
        height: rows.
        width: columns.
        block_exponents: of the code blocks' sides, less two: (0, 0) is 4 x 4.
        codestream: in place of the one that follows from these.
    """
    if codestream is None:
        size = struct.pack(">2x8IHBBB", width, height, 0, 0, width, height, 0, 0, 1, 11, 1, 1)
        levels = 2
        style = struct.pack(">BBHBBBBBB", 0, 0, 1, 0, levels, *block_exponents, 0, 1)
        steps = b"\x40" + b"\x50" * (3 * levels + 1)
        segments = ((0xFF51, size), (0xFF52, style), (0xFF5C, steps))
        main = b"".join(struct.pack(">HH", kind, len(one) + 2) + one for kind, one in segments)
        part = b"\xff\x93" + bytes(levels + 1)
        tile = struct.pack(">HHHIBB", 0xFF90, 10, 0, 12 + len(part), 0, 1) + part
        codestream = b"\xff\x4f" + main + tile + b"\xff\xd9"
    like = np.broadcast_to(np.uint16(0), (height, width))
    return encapsulated_file([codestream], JPEG2000Lossless, like, BitsStored=12, HighBit=11)
