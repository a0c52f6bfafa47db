"""What the clients send: films with a known answer, and files that are none."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pydicom

from benchmarks.made_film import large_film

_EXAMPLES = Path(__file__).parents[2] / "examples"
_VARIANTS = 6
_STEP = 40  # columns
_HUGE_SIDE = 60_000


@dataclass(frozen=True)
class File:
    """A file to send.

    Attributes:
        name: for the report.
        data: its bytes.
        status: that it deserves.
    """

    name: str
    data: bytes
    status: int = 200


def good_files() -> list[File]:
    """Films of different crops, sizes and encodings, so that no two have one answer."""
    film = cv2.imread(str(_EXAMPLES / "chest.png"), cv2.IMREAD_GRAYSCALE)
    if film is None:
        raise FileNotFoundError("examples/chest.png")
    files = []
    encode: dict[str, Callable[[npt.NDArray[Any]], bytes]] = {
        "png": lambda pixels: _encoded(".png", pixels),
        "jpeg": lambda pixels: _encoded(".jpg", pixels),
        "tiff": lambda pixels: _encoded(".tiff", pixels),
    }
    for variant in range(_VARIANTS):
        crop = film[:, _STEP * variant : film.shape[1] - _STEP * (_VARIANTS - variant)]
        kind = list(encode)[variant % len(encode)]
        files.append(File(f"{kind} {variant}", encode[kind](np.ascontiguousarray(crop))))
    files.append(File("dicom", (_EXAMPLES / "chest.dcm").read_bytes()))
    files.append(File("large dicom", large_film(2500, 3000)))
    return files


def bad_files() -> list[File]:
    """Files that deserve an error, each its own."""
    png = (_EXAMPLES / "chest.png").read_bytes()
    dicom = (_EXAMPLES / "chest.dcm").read_bytes()
    return [
        File("nothing", b"", 400),
        File("half a png", png[: len(png) // 2], 400),
        File("half a dicom", dicom[: len(dicom) // 2], 400),
        File("noise", np.random.default_rng(0).bytes(50_000), 400),
        File("a ct", _of_modality(dicom, "CT"), 422),
        File("a huge png", _png_header(_HUGE_SIDE), 413),
    ]


def _encoded(suffix: str, pixels: npt.NDArray[Any]) -> bytes:
    return cv2.imencode(suffix, pixels)[1].tobytes()


def _of_modality(data: bytes, modality: str) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(data))
    dataset.Modality = modality
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
    out = io.BytesIO()
    dataset.save_as(out)
    return out.getvalue()


def _png_header(side: int) -> bytes:
    """A PNG that says it has side x side pixels, and has none (PNG specification, 11.2.2)."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
