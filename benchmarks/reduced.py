"""Whether masks stay the same where a film is decoded at a lower resolution, and what it saves.

    PYTHONPATH=DIR python -m benchmarks.reduced FILM ...     # pip install --target DIR pillow

Encodes each film anew, decodes it in full and at every lower resolution that still covers the
canvas, and compares the bundled model's masks: docs/adr/0014-full-resolution.md. The grid of a
wavelet's lower resolution lies up to half a pixel beside that of means, which is made good.
"""

from __future__ import annotations

import argparse
import io
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, Final

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from pycocotools import mask as coco_mask

from benchmarks.bare_parts import open_session
from solo.contract.greyscale import Grey, as_grey
from solo.contract.instances import Instances
from solo.contract.letterbox import Letterbox
from solo.contract.manifest import INPUT_NAME, OUTPUT_NAMES, Manifest
from solo.decoding.decode import decode, sniff
from solo.decoding.dicom.file import parse_dicom
from solo.decoding.dicom.frames import read_frame
from solo.decoding.dicom.pixel_layout import PixelLayout, SampleBits
from solo.decoding.dicom.voi import to_grey
from solo.decoding.dicom.voi_attributes import GreyDescription
from solo.decoding.radiograph import Limits
from solo.masks.rle import encode

MODEL: Final = Path(__file__).parents[1] / "model/zoo/cxr-lungs.onnx"
LIMITS: Final = Limits(50_000_000)
SAME: Final = 0.995
Canvas = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Coding:
    """Encodes 8 bits, or 12 to 16, and decodes at a resolution of 1 / 2^level."""

    encode: Callable[[Grey, int], bytes]
    decode: Callable[[bytes, int, int], Grey]
    wavelet: bool


def jpeg_2000(reversible: bool) -> Coding:
    """By OpenJPEG, which Pillow lets stop early; it shifts deep samples up to 16 bits."""

    def write(cells: Grey, bits: int) -> bytes:
        options: dict[str, Any] = {"level": 0 if reversible else 50, "reversible": reversible}
        return bytes(
            imagecodecs.jpeg2k_encode(cells, bitspersample=bits, codecformat="j2k", **options)
        )

    def read(data: bytes, bits: int, level: int) -> Grey:
        if not level:
            return as_grey(imagecodecs.jpeg2k_decode(data, numthreads=1))
        image = Jpeg2KImageFile(io.BytesIO(data))
        image.reduce = level
        found = np.asarray(image)
        return as_grey(found if bits == 8 else found.astype(np.uint16) >> np.uint16(16 - bits))

    return Coding(write, read, wavelet=True)


def jpeg() -> Coding:
    """Of 8 bits, by libjpeg-turbo in OpenCV."""
    flags = {1: cv2.IMREAD_REDUCED_GRAYSCALE_2, 2: cv2.IMREAD_REDUCED_GRAYSCALE_4,
             3: cv2.IMREAD_REDUCED_GRAYSCALE_8}  # fmt: skip

    def write(cells: Grey, bits: int) -> bytes:
        byte = (cells >> np.uint16(bits - 8)).astype(np.uint8) if bits > 8 else cells
        return cv2.imencode(".jpg", byte)[1].tobytes()

    def read(data: bytes, bits: int, level: int) -> Grey:
        flag = flags.get(level, cv2.IMREAD_UNCHANGED)
        found = as_grey(np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), flag)))
        return found if bits == 8 else as_grey(found.astype(np.uint16) << np.uint16(bits - 8))

    return Coding(write, read, wavelet=False)


CODINGS: Final = {
    "JPEG 2000 without loss": jpeg_2000(reversible=True),
    "JPEG 2000 with loss": jpeg_2000(reversible=False),
    "JPEG": jpeg(),
}


@dataclass(frozen=True)
class Outcome:
    """The worst IoU of a mask with that of the film in full, and the share of the time."""

    iou: float
    time: float


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reduced")
    parser.add_argument("films", type=Path, nargs="+", help="uncompressed or not, of one sample")
    cv2.setNumThreads(1)
    session = open_session(MODEL, 1)
    outcomes: dict[tuple[str, int], list[Outcome]] = defaultdict(list)
    for path in parser.parse_args().films:
        for name, coding in CODINGS.items():
            try:
                found = compare(path.read_bytes(), coding, session)
            except OSError:  # of Pillow, which does not read every depth
                print(f"{path.name}: not read as {name}")
                continue
            for level, outcome in found.items():
                outcomes[name, level].append(outcome)
    print("| coding | resolution | films | worst IoU | median IoU | below 0.995 | time |")
    print("|---|---|---|---|---|---|---|")
    for (name, level), films in sorted(outcomes.items()):
        ious = [outcome.iou for outcome in films]
        print(
            f"| {name} | 1/{2**level} | {len(films)} | {min(ious):.3f} | {median(ious):.3f} | "
            f"{sum(iou < SAME for iou in ious)} | {median(one.time for one in films):.2f} |"
        )


def compare(film: bytes, coding: Coding, session: ort.InferenceSession) -> dict[int, Outcome]:
    """By level, for a film in which the model finds something in full."""
    manifest = Manifest.from_metadata(session.get_modelmeta().custom_metadata_map)
    cells, description = _stored(film)
    bits = description.bits.stored
    letterbox = Letterbox.fit((cells.shape[0], cells.shape[1]), manifest.canvas_size)
    data = coding.encode(cells, bits)
    levels = [
        level
        for level in range(4)
        if min(cells.shape[0] / letterbox.height, cells.shape[1] / letterbox.width) >= 2**level
    ]
    found, seconds = {}, {}
    for level in levels:
        started = process_time()
        decoded = coding.decode(data, bits, level)
        seconds[level] = process_time() - started
        grey, *_ = to_grey(as_grey(decoded.astype(cells.dtype)), description)
        canvas = _on_canvas(grey, letterbox, level if coding.wavelet else 0)
        found[level] = _masks(canvas, letterbox, session, manifest)
    if not found[0]:
        return {}
    return {
        level: Outcome(_worst_iou(found[0], found[level]), seconds[level] / seconds[0])
        for level in levels[1:]
    }


def _stored(film: bytes) -> tuple[Grey, GreyDescription]:
    """The samples of a DICOM file, or of an image of 8 bits, and what they mean."""
    if sniff(film) != "dicom":
        plain = SampleBits(allocated=8, stored=8, high=7, signed=False)
        return decode(film, LIMITS).pixels, GreyDescription(plain)
    file = parse_dicom(film)
    description = GreyDescription.of(file.dataset, file.media_class)
    cells = read_frame(file, PixelLayout.of(file.dataset, LIMITS), 0)
    used = np.array((1 << description.bits.stored) - 1, cells.dtype)
    return as_grey(np.ascontiguousarray(np.bitwise_and(cells, used))), description


def _on_canvas(grey: Grey, letterbox: Letterbox, wavelet_level: int) -> Canvas:
    """A wavelet's sample lies on the first pixel of those that a mean is in the middle of."""
    if wavelet_level:
        beside = (1 - 0.5**wavelet_level) / 2
        shift = np.array([[1, 0, beside], [0, 1, beside]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (grey.shape[1], grey.shape[0])
        grey = as_grey(
            cv2.warpAffine(grey, shift, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        )
    size_here = (grey.shape[0], grey.shape[1])
    there = (letterbox.top, letterbox.left, letterbox.height, letterbox.width)
    return Letterbox(size_here, letterbox.canvas_size, *there).apply(grey)


def _masks(
    canvas: Canvas, letterbox: Letterbox, session: ort.InferenceSession, manifest: Manifest
) -> list[dict[str, Any]]:
    scores, labels, masks = session.run(list(OUTPUT_NAMES), {INPUT_NAME: canvas[None, None]})
    found = Instances.from_outputs(scores[0], labels[0], masks[0]).select(0.5, 2)
    encoded = encode(found, letterbox, manifest.mask_threshold)
    return [
        {"size": letterbox.image_size, "counts": one.compressed()} for one in encoded if one.area
    ]


def _worst_iou(full: list[dict[str, Any]], other: list[dict[str, Any]]) -> float:
    if not other:
        return 0.0
    return float(coco_mask.iou(full, other, [0] * len(other)).max(axis=1).min())


if __name__ == "__main__":
    main()
