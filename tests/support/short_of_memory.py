"""Films of every coding under limits of memory: `python -m tests.support.short_of_memory`.

Prints for each of them, from the lowest limit on: "whole", "short" (of memory), or what else came
of it, as JSON. Each is decoded in a forked process, since a limit cannot be lifted.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import cv2
import numpy as np
import tifffile
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from solo.decoding.decode import decode
from solo.decoding.dicom.codestreams import load_decoders
from solo.decoding.quiet import quieten_decoders
from solo.decoding.radiograph import Limits
from solo.sandbox.limits import confine
from tests.support.dicom import dicom_file
from tests.support.encapsulated import EXACT, LOSSY, encapsulated_file, encoded_file
from tests.support.films import jpeg, png

_LIMITS: Final = [2**18, 2**20, 2**22, 2**23, 2**27]
_SIDE: Final = 1000


def films() -> dict[str, bytes]:
    """One film in every coding."""
    ramp = np.linspace(200, 3800, _SIDE)
    noise = np.random.default_rng(0).normal(0, 8, (_SIDE, _SIDE))
    deep = np.clip(np.outer(np.linspace(0.3, 1, _SIDE), ramp) + noise, 0, 4095).astype(np.uint16)
    grey = (deep >> 4).astype(np.uint8)
    colour = np.dstack([grey] * 3)
    progressive = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]
    return {
        "PNG": png(deep),
        "PNG of four channels": png(np.dstack([deep] * 4)),
        "JPEG": jpeg(grey),
        "progressive JPEG": cv2.imencode(".jpg", grey, progressive)[1].tobytes(),
        "colour JPEG": cv2.imencode(".jpg", colour, progressive)[1].tobytes(),
        **{f"TIFF {packed}": _tiff(deep, packed) for packed in (None, "lzw", "zlib", "packbits")},
        "TIFF jpeg": _tiff(grey, "jpeg"),
        **{
            syntax.name: dicom_file(deep, syntax=syntax)
            for syntax in (ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless)
        },
        **{
            syntax.name: encoded_file(deep, syntax, encode, BitsStored=12, HighBit=11)
            for syntax, encode in {**EXACT, **LOSSY}.items()
        },
        "colour JPEG 2000": encapsulated_file(
            [EXACT[JPEG2000Lossless](colour)],
            JPEG2000Lossless,
            colour,
            SamplesPerPixel=3,
            PhotometricInterpretation="YBR_RCT",
        ),
    }


def _tiff(pixels: np.ndarray[Any, np.dtype[Any]], compression: str | None) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, compression=compression, rowsperstrip=_SIDE)
    return file.getvalue()


def outcome(film: bytes, limit: int) -> str:
    """What comes of a film when so many bytes may be added to what is mapped now."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        try:
            confine(limit)
            decode(film, Limits(_SIDE**2))
            found = "whole"
        except MemoryError:
            found = "short"
        except BaseException as error:
            found = repr(error)
        os.write(writing, found.encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as told:
        found = told.read()
    _, code = os.wait()
    return found or f"ended by {code}"


def write_films(folder: str) -> None:
    """Writes the films, each as a file of its name."""
    for name, film in films().items():
        Path(folder, name).write_bytes(film)


def main() -> None:
    """Tries them all."""
    with TemporaryDirectory() as folder:
        # Made by another process: what making them leaves free is room beyond the limit.
        with multiprocessing.get_context("spawn").Pool(1) as makers:
            makers.apply(write_films, (folder,))
        quieten_decoders()
        cv2.setNumThreads(1)
        load_decoders()
        found = {
            path.name: [outcome(path.read_bytes(), limit) for limit in _LIMITS]
            for path in Path(folder).iterdir()
        }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
