"""What decoding costs in each transfer syntax, beside pydicom.

    python -m benchmarks.decoders [--height 3000] [--width 2500] [--repeats 7]

Encodes the example film, enlarged and with noise, in every syntax, checks what comes back against
what went in, and times this project's decoder and pydicom's in turn: bytes in, stored cells out, in
processor time. Prints the table of docs/dicom.md. pydicom uses whatever plugins are installed; for
the table these were put beside the environment and not into it:

    pip install --target DIR --no-deps pylibjpeg pylibjpeg-libjpeg pylibjpeg-openjpeg pylibjpeg-rle
    PYTHONPATH=DIR python -m benchmarks.decoders
"""

from __future__ import annotations

import argparse
import io
import warnings
from collections.abc import Callable, Iterator
from statistics import median
from time import process_time
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from benchmarks.made_film import large_film
from solo.decoding.dicom.file import parse_dicom
from solo.decoding.dicom.frames import read_frame
from solo.decoding.dicom.pixel_layout import PixelLayout
from solo.decoding.dicom.transfer_syntaxes import CODINGS, Coding, syntax_name
from solo.decoding.radiograph import Limits
from tests.support.dicom import dicom_file
from tests.support.encapsulated import BASELINE, EXACT, LOSSY, encoded_file

LIMITS: Final = Limits(50_000_000)
TWELVE: Final[dict[str, Any]] = {"BitsStored": 12, "HighBit": 11}
DECODERS: Final = {
    Coding.NATIVE: "NumPy",
    Coding.ENCAPSULATED: "NumPy",
    Coding.DEFLATED: "zlib",
    Coding.RLE: "imagecodecs (own PackBits)",
    Coding.JPEG: "libjpeg-turbo",
    Coding.JPEG_LOSSLESS: "libjpeg-turbo",
    Coding.JPEG_LS: "CharLS",
    Coding.JPEG_2000: "OpenJPEG",
    Coding.JPEG_XL: "libjxl",
}
NATIVE: Final = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
)
Cells = npt.NDArray[Any]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decoders")
    parser.add_argument("--height", type=int, default=3000)
    parser.add_argument("--width", type=int, default=2500)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # pydicom warns of syntaxes that it does not know
    cv2.setNumThreads(1)
    dataset = pydicom.dcmread(io.BytesIO(large_film(arguments.height, arguments.width)))
    film = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
    height, width = film.shape
    print(f"{height} x {width}, processor time, medians of {arguments.repeats}\n")
    print("| syntax | decoder | largest error | MB | ms | pydicom | pydicom / this |")
    print("|---|---|---|---|---|---|---|")
    for name, syntax, cells, data in files(film):
        print(row(name, syntax, cells, data, arguments.repeats), flush=True)


def files(film: Cells) -> Iterator[tuple[str, UID, Cells, bytes]]:
    """(name, syntax, stored cells, file) of every syntax, with loss where it has any."""
    for syntax in NATIVE:
        yield syntax_name(syntax), syntax, film, dicom_file(film, syntax=syntax, **TWELVE)
    for syntax, encode in EXACT.items():
        lossy = " without loss" if syntax in LOSSY else ""
        yield (
            syntax_name(syntax) + lossy,
            syntax,
            film,
            encoded_file(film, syntax, encode, **TWELVE),
        )
    for syntax, encode in LOSSY.items():
        yield syntax_name(syntax), syntax, film, encoded_file(film, syntax, encode, **TWELVE)
    byte = (film >> 4).astype(np.uint8)
    for syntax, encode in BASELINE.items():
        yield f"{syntax_name(syntax)}, 8 bits", syntax, byte, encoded_file(byte, syntax, encode)


def row(name: str, syntax: UID, cells: Cells, data: bytes, repeats: int) -> str:
    """One line of the table."""
    found = decode(data)
    error = int(np.abs(found.astype(np.int64) - cells).max())
    plugins = _plugins(syntax)
    times: dict[str, list[float]] = {"this": [], "pydicom": []}
    for _ in range(repeats):
        times["this"].append(seconds(lambda: decode(data)))
        if plugins:
            times["pydicom"].append(seconds(lambda: decode_with_pydicom(data)))
    this = median(times["this"])
    other, ratio = "cannot", ""
    if plugins:
        pairs = zip(times["pydicom"], times["this"], strict=True)
        other = f"{1e3 * median(times['pydicom']):.0f} ms, {plugins}"
        ratio = f"{median(theirs / ours for theirs, ours in pairs):.1f}"
    return (
        f"| {name} | {DECODERS[CODINGS[syntax]]} | {error or 'exact'} | {len(data) / 1e6:.1f} | "
        f"{1e3 * this:.0f} | {other} | {ratio} |"
    )


def decode(data: bytes) -> Cells:
    """Stored cells, by this project: parsed, checked and decoded."""
    file = parse_dicom(data)
    return read_frame(file, PixelLayout.of(file.dataset, LIMITS), 0)


def decode_with_pydicom(data: bytes) -> Cells:
    """Stored cells, by pydicom with the plugins that are installed."""
    return pydicom.dcmread(io.BytesIO(data)).pixel_array


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds that it takes, once: what else the machine does hardly counts."""
    started = process_time()
    work()
    return process_time() - started


def _plugins(syntax: UID) -> str:
    """The plugin that pydicom takes, or nothing where it cannot decode."""
    if syntax in NATIVE and syntax != RLELossless:
        return "own"
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        return ""
    return decoder.available_plugins[0] if decoder.is_available else ""


if __name__ == "__main__":
    main()
