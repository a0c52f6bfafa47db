"""Damaged JPEGs: how many of 2,304 are refused, by process and by damage.

    python -m benchmarks.damaged_jpeg [--files 72] [--size 256 224] [--seed 0]

Each file is damaged at one random place among its entropy-coded data, its end marker kept. Prints
one row a process. A Huffman-coded stream has no checksum: what is not refused looks like a picture.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Final

import cv2
import imagecodecs
import numpy as np
from pydicom.uid import UID, JPEGExtended12Bit, JPEGLosslessSV1

from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from solo.errors import SoloError
from tests.support.encapsulated import encapsulated_file
from tests.support.films import Film, chest

LIMITS: Final = Limits(50_000_000)
Damage = Callable[[bytes, int, np.random.Generator], bytes]
DAMAGES: Final[dict[str, Damage]] = {
    "cut": lambda data, at, _: data[:at] + data[-2:],
    "2 bytes lost": lambda data, at, _: data[:at] + data[at + 2 :],
    "50 bytes lost": lambda data, at, _: data[:at] + data[at + 50 :],
    "1 byte changed": lambda data, at, random: (
        data[:at] + bytes([data[at] ^ int(random.integers(1, 256))]) + data[at + 1 :]
    ),
}


def _upload(film: Film, *options: int) -> tuple[bytes, Callable[[bytes], bytes]]:
    quality = [cv2.IMWRITE_JPEG_QUALITY, 92]
    return cv2.imencode(".jpg", film, [*quality, *options])[1].tobytes(), lambda data: data


def _dicom(
    film: Film, syntax: UID, frame: bytes, bits: int
) -> tuple[bytes, Callable[[bytes], bytes]]:
    elements: dict[str, Any] = {"BitsStored": bits, "HighBit": bits - 1}
    return frame, lambda data: encapsulated_file([data], syntax, film, **elements)


def sound_files(
    height: int, width: int, seed: int
) -> dict[str, tuple[bytes, Callable[[bytes], bytes]]]:
    """A codestream of each process, and what makes a file of it."""
    noise = np.random.default_rng(seed).integers(0, 60, (height, width))
    film = (chest(height, width) + noise).astype(np.uint16)
    grey = (film // 16).astype(np.uint8)
    colour = np.dstack([grey, grey[::-1], grey[:, ::-1]])
    progressive = (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    extended = bytes(imagecodecs.jpeg8_encode(film, level=95, bitspersample=12))
    lossless = bytes(imagecodecs.jpeg8_encode(film, bitspersample=12, lossless=True, predictor=1))
    byte = bytes(imagecodecs.jpeg8_encode(grey, lossless=True, predictor=4))
    return {
        "baseline, grey": _upload(grey),
        "baseline, colour": _upload(colour),
        "baseline, restarts": _upload(grey, cv2.IMWRITE_JPEG_RST_INTERVAL, width // 8),
        "progressive, grey": _upload(grey, *progressive),
        "progressive, colour": _upload(colour, *progressive),
        "extended, 12 bits": _dicom(film, JPEGExtended12Bit, extended, 12),
        "lossless, 12 bits": _dicom(film, JPEGLosslessSV1, lossless, 12),
        "lossless, 8 bits": _dicom(grey, JPEGLosslessSV1, byte, 8),
    }


def refused(
    codestream: bytes, as_file: Callable[[bytes], bytes], damage: Damage, files: int, seed: int
) -> int:
    """How many of so many damaged files are refused; the sound one is read."""
    decode(as_file(codestream), LIMITS)
    random, count = np.random.default_rng(seed), 0
    first = codestream.index(b"\xff\xda") + 14
    for place in random.integers(first, len(codestream) - 60, files).tolist():
        try:
            decode(as_file(damage(codestream, place, random)), LIMITS)
        except SoloError:
            count += 1
    return count


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.damaged_jpeg")
    parser.add_argument("--files", type=int, default=72, help="of each process and damage")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 224), metavar=("H", "W"))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    height, width = arguments.size
    files, total = sound_files(height, width, arguments.seed), 0
    print(f"| refused of {arguments.files} |", *(f" {name} |" for name in DAMAGES), sep="")
    print("|---" * (1 + len(DAMAGES)) + "|")
    for name, (codestream, as_file) in files.items():
        counts = [
            refused(codestream, as_file, damage, arguments.files, arguments.seed)
            for damage in DAMAGES.values()
        ]
        total += sum(counts)
        print(f"| {name} |", *(f" {count} |" for count in counts), sep="", flush=True)
    print(f"{total:,} of {arguments.files * len(DAMAGES) * len(files):,} refused")


if __name__ == "__main__":
    main()
