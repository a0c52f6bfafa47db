"""Colour JPEGs whose components are not what the DICOM header says, or say nothing."""

from __future__ import annotations

from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from pydicom.uid import JPEGBaseline8Bit, JPEGLosslessSV1, SecondaryCaptureImageStorage

from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from tests.support.encapsulated import encapsulated_file

LIMITS = Limits(max_pixels=100_000)
COLOURS = np.array([[90, 90, 90], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.float64)
GREYS = COLOURS @ [0.299, 0.587, 0.114]
JFIF = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"


def adobe(transform: int) -> bytes:
    return b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])


def blocks() -> npt.NDArray[np.uint8]:
    """Four squares of one colour each, uint8 [32, 128, 3]."""
    return np.repeat(np.repeat(COLOURS[None], 32, axis=1), 32, axis=0).astype(np.uint8)


def codestream(inside: str, subsampling: str, told: bytes, names: bytes, lossless: bool) -> bytes:
    """A JPEG with the components of a colour space, and with what is told of them."""
    if lossless:
        stored = blocks()
        if inside == "YCBCR":
            red, green, blue = np.moveaxis(stored.astype(np.float64), -1, 0)
            luminance = 0.299 * red + 0.587 * green + 0.114 * blue
            differences = (blue - luminance) / 1.772 + 128, (red - luminance) / 1.402 + 128
            stored = np.dstack([luminance, *differences]).round().clip(0, 255).astype(np.uint8)
        data = imagecodecs.jpeg8_encode(
            stored, lossless=True, predictor=1, colorspace="RGB", outcolorspace="RGB"
        )
    else:
        data = imagecodecs.jpeg8_encode(
            blocks(), level=95, colorspace="RGB", outcolorspace=inside, subsampling=subsampling
        )
    pieces, offset = [b"\xff\xd8", told], 2
    while True:
        marker, end = data[offset + 1], offset + 2 + int.from_bytes(data[offset + 2 : offset + 4])
        segment = bytearray(data[offset:end])
        if marker in (0xC0, 0xC3):
            segment[10::3] = names
        if marker == 0xDA:
            segment[5:11:2] = names
            return b"".join([*pieces, segment, data[end:]])
        if not 0xE0 <= marker < 0xF0:
            pieces.append(bytes(segment))
        offset = end


# The photometric interpretation, what is inside, its subsampling, and what the JPEG tells.
CASES: list[tuple[str, str, str, bytes, bytes]] = [
    ("RGB", "YCBCR", "420", b"", b"\1\2\3"),  # subsampled chroma is no RGB
    ("RGB", "YCBCR", "422", b"", b"\0\1\2"),
    ("RGB", "YCBCR", "444", JFIF, b"\1\2\3"),
    ("RGB", "YCBCR", "444", adobe(1), b"\1\2\3"),
    ("RGB", "RGB", "444", adobe(0), b"\1\2\3"),
    ("RGB", "RGB", "444", b"", b"\1\2\3"),  # nothing tells: DICOM is believed
    ("RGB", "RGB", "444", adobe(219), b"\0\1\2"),  # a transform that there is not tells nothing
    ("YBR_FULL", "YCBCR", "444", b"", b"\0\1\2"),
    ("YBR_FULL", "YCBCR", "444", adobe(219), b"\1\2\3"),
    ("YBR_FULL", "RGB", "444", adobe(0), b"\1\2\3"),
    ("YBR_FULL", "RGB", "444", b"", b"RGB"),
    ("YBR_FULL_422", "RGB", "444", adobe(0), b"RGB"),
    ("YBR_FULL_422", "YCBCR", "422", JFIF, b"\1\2\3"),
]


@pytest.mark.parametrize(
    ("photometric", "inside", "subsampling", "told", "names", "lossless"),
    [(*case, False) for case in CASES] + [(*case, True) for case in CASES if case[2] == "444"],
)
def test_a_colour_jpeg_is_read_by_what_is_in_it(
    photometric: str, inside: str, subsampling: str, told: bytes, names: bytes, lossless: bool
) -> None:
    frame = codestream(inside, subsampling, told, names, lossless)
    elements: dict[str, Any] = {
        "SamplesPerPixel": 3,
        "PlanarConfiguration": 0,
        "SOPClassUID": SecondaryCaptureImageStorage,
        "PhotometricInterpretation": photometric,
    }
    syntax = JPEGLosslessSV1 if lossless else JPEGBaseline8Bit
    found = decode(encapsulated_file([frame], syntax, blocks(), **elements), LIMITS)
    assert found.info.grey == "as_stored"
    np.testing.assert_allclose(found.pixels[16, 16::32], GREYS, atol=2)


@pytest.mark.parametrize(
    ("inside", "told", "names"),
    [
        ("YCBCR", JFIF, b"\1\2\3"),
        ("YCBCR", b"", b"\1\2\3"),
        ("YCBCR", b"", b"\0\1\2"),
        ("YCBCR", adobe(219), b"\0\1\2"),
        ("RGB", adobe(0), b"\1\2\3"),
        ("RGB", b"", b"RGB"),
    ],
)
def test_without_a_dicom_header_components_are_luminance_and_chrominance(
    inside: str, told: bytes, names: bytes
) -> None:
    found = decode(codestream(inside, "444", told, names, lossless=False), LIMITS)
    np.testing.assert_allclose(found.pixels[16, 16::32], GREYS, atol=2)
