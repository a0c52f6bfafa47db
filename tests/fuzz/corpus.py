"""Files to break: one or more of every encoding that tests can write, all made in code.

A new transfer syntax is fuzzed as soon as a file of it stands here.
"""

from __future__ import annotations

import struct
import zlib
from functools import cache
from typing import Any

import cv2
import imagecodecs
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from tests.support.dicom import dicom_file
from tests.support.encapsulated import BASELINE, EXACT, LOSSY, encoded_file
from tests.support.films import Film, chest, jpeg, png, png_chunk
from tests.support.tiff import by_hand, packed

FILM = chest(40, 36)
GREY = (FILM // 16).astype(np.uint8)
COLOUR = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])


@cache
def corpus() -> dict[str, bytes]:
    """Valid files by name; the first word of a name is its format."""
    return {
        **_dicom_files(),
        **_compressed_files(),
        **_png_files(),
        **_jpeg_files(),
        **_tiff_files(),
    }


def _dicom_files() -> dict[str, bytes]:
    rgb: dict[str, Any] = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}
    described: dict[str, Any] = {
        "WindowCenter": [2000, 1000],
        "WindowWidth": [3000, 500],
        "VOILUTFunction": "SIGMOID",
        "RescaleSlope": 2,
        "RescaleIntercept": -5,
        "PixelPaddingValue": 7,
        "ImagerPixelSpacing": [0.1, 0.2],
        "PhotometricInterpretation": "MONOCHROME1",
    }
    tables: dict[str, Any] = {
        "ModalityLUTSequence": Sequence([_table(4096, 12)]),
        "VOILUTSequence": Sequence([_table(256, 16)]),
    }
    return {
        "dicom explicit": dicom_file(FILM, BitsStored=12, HighBit=11, **described),
        "dicom explicit 8": dicom_file(GREY),
        "dicom signed": dicom_file(FILM.astype(np.int16), RescaleIntercept=-1024, RescaleSlope=1),
        "dicom tables": dicom_file(FILM, **tables),
        "dicom implicit": dicom_file(FILM, syntax=ImplicitVRLittleEndian, **described),
        "dicom bare": dicom_file(FILM, preamble=False),
        "dicom big-endian": dicom_file(FILM, syntax=ExplicitVRBigEndian, **described),
        "dicom deflated": dicom_file(FILM, syntax=DeflatedExplicitVRLittleEndian, **described),
        "dicom frames": dicom_file(np.stack([FILM, FILM // 2])),
        "dicom colour": dicom_file(COLOUR, **rgb),
        "dicom rle": dicom_file(FILM, syntax=RLELossless, **described),
        "dicom rle 8": dicom_file(GREY, syntax=RLELossless),
        "dicom rle frames": dicom_file(np.stack([FILM, FILM // 2]), syntax=RLELossless),
        "dicom rle colour": dicom_file(COLOUR, syntax=RLELossless, **rgb),
    }


def _compressed_files() -> dict[str, bytes]:
    """One of each encapsulated syntax, most in fragments or with an offset table."""
    deep = {f"dicom {syntax}": (syntax, encode) for syntax, encode in {**LOSSY, **EXACT}.items()}
    files = {
        name: encoded_file(FILM, syntax, encode, BitsStored=12, HighBit=11, offset_table=True)
        for name, (syntax, encode) in deep.items()
    }
    for syntax, encode in BASELINE.items():
        files[f"dicom {syntax} 8"] = encoded_file(GREY, syntax, encode, fragment_bytes=200)
    return files


def _tiff_files() -> dict[str, bytes]:
    differences: dict[str, Any] = {"predictor": 2, "rowsperstrip": 7}
    forms: dict[str, tuple[Film, dict[str, Any]]] = {
        "tiff grey": (GREY, {}),
        "tiff deep": (FILM, {"compression": "deflate"}),
        "tiff colour": (COLOUR, {"photometric": "rgb"}),
        "tiff deflate strips": (COLOUR, {"compression": "deflate", **differences}),
        "tiff deflate tiles": (FILM, {"compression": "deflate", "tile": (16, 32)}),
        "tiff planes": (
            np.moveaxis(COLOUR, 2, 0),
            {"photometric": "rgb", "planarconfig": "separate"},
        ),
        "tiff lzw strips": (FILM, {"compression": "lzw", **differences}),
        "tiff lzw tiles": (GREY, {"compression": "lzw", "tile": (32, 16)}),
        "tiff packbits": (GREY // 64, {"compression": "packbits", "rowsperstrip": 7}),
        "tiff packbits tiles": (GREY // 64, {"compression": "packbits", "tile": (16, 16)}),
    }
    _, tables = cv2.imencode(".tiff", GREY, [cv2.IMWRITE_TIFF_COMPRESSION, 7])
    few, numbers = FILM >> 8, FILM.astype(np.float32)
    return {
        **{
            name: bytes(imagecodecs.tiff_encode(film, **form))
            for name, (film, form) in forms.items()
        },
        "tiff few bits": by_hand(few, stored=packed(few, 4), t258=(4,)),
        "tiff detector": by_hand(FILM, stored=packed(FILM, 12), t258=(12,), t262=0),
        "tiff numbers": by_hand(numbers, t339=3),
        "tiff palette": by_hand(GREY, t262=3, t320=tuple(range(0, 65536, 257)) * 3),
        "tiff jpeg": by_hand(GREY, stored=jpeg(GREY), t259=7),
        "tiff jpeg tables": tables.tobytes(),
        "tiff pages": cv2.imencodemulti(".tiff", [GREY, FILM])[1].tobytes(),
    }


def _table(entries: int, bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [entries, 0, bits]
    item.LUTData = np.linspace(0, 2**bits - 1, entries).astype("<u2").tobytes()
    item["LUTDescriptor"].VR, item["LUTData"].VR = "US", "OW"
    return item


def _png_files() -> dict[str, bytes]:
    alpha = np.dstack([COLOUR, GREY])
    return {
        "png grey": png(GREY),
        "png deep": png(FILM),
        "png colour": png(COLOUR),
        "png alpha": png(alpha),
        "png deep colour": png(COLOUR.astype(np.uint16) * 257),
        "png palette": _raw_png(3, GREY // 16, png_chunk(b"PLTE", bytes(range(48)))),
        "png grey alpha": _raw_png(4, np.dstack([GREY, GREY])),
        "png texts": _raw_png(0, GREY, png_chunk(b"tEXt", b"Author\0nobody")),
    }


def _raw_png(colour_type: int, pixels: Film, *chunks: bytes) -> bytes:
    """A PNG of a kind that OpenCV does not write, 8 bits a sample, without filters."""
    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in pixels)
    body = png_chunk(b"IDAT", zlib.compress(rows))
    start = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header)
    return start + b"".join(chunks) + body + png_chunk(b"IEND", b"")


def _jpeg_files() -> dict[str, bytes]:
    options = {
        "jpeg progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
        "jpeg restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 2],
        "jpeg optimised": [cv2.IMWRITE_JPEG_OPTIMIZE, 1],
    }
    encoded = {name: cv2.imencode(".jpg", GREY, flags) for name, flags in options.items()}
    return {
        "jpeg grey": jpeg(GREY),
        "jpeg colour": jpeg(COLOUR),
        **{name: data.tobytes() for name, (_, data) in encoded.items()},
    }
