"""Every compressed transfer syntax, with frames that imagecodecs encodes here."""

from __future__ import annotations

from typing import Any

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from solo.decoding.decode import decode
from solo.decoding.dicom.transfer_syntaxes import JPEGXL, JPEGXLJPEGRecompression, JPEGXLLossless
from solo.decoding.radiograph import Limits
from tests.support.dicom import dicom_file
from tests.support.encapsulated import (
    BASELINE,
    EXACT,
    LOSSY,
    Encoder,
    as_deep,
    encapsulated_file,
    encoded_file,
)
from tests.support.films import chest

LIMITS = Limits(max_pixels=100_000)
TWELVE: dict[str, Any] = {
    "BitsStored": 12,
    "HighBit": 11,
    "WindowCenter": 2048,
    "WindowWidth": 4096,
}
# Largest error of the encodings in tests/support/encapsulated.py, of 4095.
BOUNDS = {JPEGExtended12Bit: 4, JPEGLSNearLossless: 2.5, JPEG2000: 40, HTJ2K: 30, JPEGXL: 150}


def name(value: object) -> str:
    return value.name.replace(" ", "_") if isinstance(value, UID) else ""


def textured() -> npt.NDArray[np.uint16]:
    noise = np.random.default_rng(0).normal(0, 20, chest().shape)
    return np.clip(chest() + noise, 0, 4095).astype(np.uint16)


@pytest.mark.parametrize(("syntax", "encode"), EXACT.items(), ids=name)
def test_as_deep_without_loss_are_the_uncompressed_film(syntax: UID, encode: Encoder) -> None:
    film = textured()
    found = decode(encoded_file(film, syntax, encode, **TWELVE), LIMITS)
    expected = decode(dicom_file(film, **TWELVE), LIMITS)
    assert np.array_equal(found.pixels, expected.pixels)
    assert (found.info.encoding, found.info.grey) == (syntax, "window")


@pytest.mark.parametrize(("syntax", "encode"), EXACT.items(), ids=name)
@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (200, 1), (3, 5), (64, 65)])
def test_eight_bits_of_any_shape_come_through(
    syntax: UID, encode: Encoder, shape: tuple[int, int]
) -> None:
    film = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    assert np.array_equal(decode(encoded_file(film, syntax, encode), LIMITS).pixels, film)


@pytest.mark.parametrize(("syntax", "encode"), EXACT.items(), ids=name)
def test_sixteen_bits_come_through(syntax: UID, encode: Encoder) -> None:
    film = np.random.default_rng(2).integers(0, 65536, (40, 30), np.uint16)
    window = {"WindowCenter": 32768, "WindowWidth": 65536}
    assert np.array_equal(decode(encoded_file(film, syntax, encode, **window), LIMITS).pixels, film)


@pytest.mark.parametrize(("syntax", "encode"), LOSSY.items(), ids=name)
def test_as_deep_with_loss_stay_within_a_bound(syntax: UID, encode: Encoder) -> None:
    film = textured()
    found = decode(encoded_file(film, syntax, encode, **TWELVE), LIMITS)
    error = np.abs(found.pixels / 65535 * 4095 - film).max()
    assert 0.6 < error < BOUNDS[syntax]


@pytest.mark.parametrize(("syntax", "encode"), BASELINE.items(), ids=name)
def test_eight_bits_with_loss_stay_within_a_bound(syntax: UID, encode: Encoder) -> None:
    film = (textured() // 16).astype(np.uint8)
    found = decode(encoded_file(film, syntax, encode), LIMITS)
    assert np.abs(found.pixels.astype(int) - film).max() < 4


@pytest.mark.parametrize("predictor", range(1, 8))
def test_every_predictor_of_process_14(predictor: int) -> None:
    encode = as_deep(imagecodecs.jpeg8_encode, lossless=True, predictor=predictor)
    film = textured()
    found = decode(encoded_file(film, JPEGLosslessSV1, encode, **TWELVE), LIMITS)
    np.testing.assert_allclose(found.pixels, film / 4095 * 65535, atol=0.51)


@pytest.mark.parametrize("bits", [10, 11, 13, 14, 15, 16])
def test_every_precision_of_lossless_jpeg(bits: int) -> None:
    film = np.random.default_rng(bits).integers(0, 1 << bits, (20, 30), np.uint16)
    data = encoded_file(
        film,
        JPEGLosslessSV1,
        lambda frame: imagecodecs.jpeg8_encode(frame, lossless=True, bitspersample=bits),
        BitsStored=bits,
        HighBit=bits - 1,
        WindowCenter=1 << (bits - 1),
        WindowWidth=1 << bits,
    )
    white = (1 << bits) - 1
    np.testing.assert_allclose(decode(data, LIMITS).pixels, film / white * 65535, atol=0.51)


SIGNED: dict[UID, Encoder] = {
    JPEG2000Lossless: lambda frame: imagecodecs.jpeg2k_encode(
        frame, codecformat="j2k", level=0, reversible=True
    ),
    HTJ2KLossless: lambda frame: imagecodecs.htj2k_encode(frame, reversible=True),
    # These know no sign: the cells are coded as they are.
    JPEGLSLossless: lambda frame: imagecodecs.jpegls_encode(frame.view(np.uint16)),
    JPEGLosslessSV1: lambda frame: imagecodecs.jpeg8_encode(
        frame.view(np.uint16), lossless=True, bitspersample=16
    ),
}


@pytest.mark.parametrize(("syntax", "encode"), SIGNED.items(), ids=name)
@pytest.mark.parametrize("bits", [12, 16])
def test_signed_samples_keep_their_order(syntax: UID, encode: Encoder, bits: int) -> None:
    film = np.tile(np.array([[-1000, -1, 0, 1000]], np.int16), (4, 2))
    elements = {"BitsStored": bits, "HighBit": bits - 1, "WindowCenter": 0.5, "WindowWidth": 2001}
    data = encoded_file(film, syntax, encode, **elements)
    assert decode(data, LIMITS).pixels[0, :4].tolist() == [0, 32735, 32768, 65535]


def test_signed_codestreams_of_eight_bits_fill_cells_of_sixteen() -> None:
    film = np.array([[-100, 0, 100, 50]] * 8, np.int8)
    codestream = imagecodecs.jpeg2k_encode(film, codecformat="j2k", level=0, reversible=True)
    elements: dict[str, Any] = {
        "BitsStored": 8,
        "HighBit": 7,
        "WindowCenter": 0.5,
        "WindowWidth": 201,
    }
    data = encapsulated_file([codestream], JPEG2000Lossless, film.astype(np.int16), **elements)
    assert decode(data, LIMITS).pixels[0].tolist() == [0, 32768, 65535, 49151]


def test_loss_beyond_the_bits_stored_is_white_and_does_not_wrap() -> None:
    # Ten bits in twelve-bit JPEG, as real films have them: the sharp edge overshoots 1023
    film = np.zeros((32, 32), np.uint16)
    film[:, 11:] = 1023
    encode = as_deep(imagecodecs.jpeg8_encode, level=40)
    codestream = imagecodecs.jpeg8_decode(encode(film))
    assert codestream.max() > 1023
    elements = {"BitsStored": 10, "HighBit": 9, "WindowCenter": 512, "WindowWidth": 1024}
    found = decode(encoded_file(film, JPEGExtended12Bit, encode, **elements), LIMITS)
    np.testing.assert_allclose(found.pixels, np.minimum(codestream, 1023) / 1023 * 65535, atol=0.51)


@pytest.mark.parametrize("signed", [False, True])
def test_reversible_jpeg_2000_that_was_cut_to_a_rate_does_not_wrap(signed: bool) -> None:
    noise = np.random.default_rng(0).integers(-300, 300, (160, 120))
    wide = np.where(np.arange(160)[:, None] < 80, 4200, -100) + noise
    cells = np.clip(wide, 0, 4095) - 2048 * signed
    film = cells.astype(np.int16) if signed else cells.astype(np.uint16)
    options: dict[str, Any] = {"codecformat": "j2k", "reversible": True, "bitspersample": 16}
    cut = imagecodecs.jpeg2k_encode(film, level=55, **options)
    lossy = imagecodecs.jpeg2k_decode(cut).astype(int) + 2048 * signed
    assert lossy.max() > 4095
    elements: dict[str, Any] = {**TWELVE, "PixelRepresentation": int(signed), "WindowWidth": 4096}
    elements["WindowCenter"] = 0 if signed else 2048
    found = decode(encapsulated_file([cut], JPEG2000, film, **elements), LIMITS)
    np.testing.assert_allclose(found.pixels / 65535, np.clip(lossy, 0, 4095) / 4095, atol=1e-4)


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless, RLELossless])
def test_overlays_in_unused_bits_do_not_show(syntax: UID) -> None:
    film = textured()
    with_overlay = film | np.where(film > 2000, 0x8000, 0).astype(np.uint16)
    expected = decode(dicom_file(film, **TWELVE), LIMITS).pixels
    if syntax == RLELossless:
        data = dicom_file(with_overlay, syntax=syntax, **TWELVE)
    else:
        data = encoded_file(with_overlay, syntax, SIGNED[syntax], **TWELVE)
    assert np.array_equal(decode(data, LIMITS).pixels, expected)


def test_high_bits_are_shifted_down() -> None:
    film = textured()
    elements = {**TWELVE, "HighBit": 15}
    encode = SIGNED[JPEGLSLossless]
    data = encoded_file((film << 4).astype(np.uint16), JPEGLSLossless, encode, **elements)
    assert np.array_equal(
        decode(data, LIMITS).pixels, decode(dicom_file(film, **TWELVE), LIMITS).pixels
    )


COLOURS = np.array([[90, 90, 90], [255, 0, 0], [0, 255, 0], [0, 0, 255]], np.uint8)
GREYS = [90, 76, 150, 29]
COLOUR: dict[str, Any] = {
    "SamplesPerPixel": 3,
    "PlanarConfiguration": 0,
    "SOPClassUID": SecondaryCaptureImageStorage,
}


def colour_blocks() -> npt.NDArray[np.uint8]:
    """Four squares of one colour each, uint8 [16, 64, 3]."""
    return np.repeat(np.repeat(COLOURS[None], 16, axis=1), 16, axis=0)


COLOUR_ENCODERS: list[tuple[str, UID, Encoder]] = [
    ("RGB", JPEGLSLossless, imagecodecs.jpegls_encode),
    ("RGB", JPEGLosslessSV1, lambda frame: imagecodecs.jpeg8_encode(
        frame, lossless=True, colorspace="RGB", outcolorspace="RGB")),
    ("RGB", JPEGBaseline8Bit, lambda frame: imagecodecs.jpeg8_encode(
        frame, level=95, colorspace="RGB", outcolorspace="RGB")),
    ("YBR_FULL_422", JPEGBaseline8Bit, lambda frame: imagecodecs.jpeg8_encode(
        frame, level=95, colorspace="RGB", outcolorspace="YCBCR", subsampling="422")),
    ("YBR_FULL", JPEGBaseline8Bit, lambda frame: imagecodecs.jpeg8_encode(
        frame, level=95, colorspace="RGB", outcolorspace="YCBCR", subsampling="444")),
    ("YBR_FULL", JPEGLSLossless, lambda frame: imagecodecs.jpegls_encode(
        cv2.cvtColor(frame.astype(np.uint8), cv2.COLOR_RGB2YCrCb)[:, :, [0, 2, 1]].copy())),
    ("YBR_RCT", JPEG2000Lossless, lambda frame: imagecodecs.jpeg2k_encode(
        frame, codecformat="j2k", level=0, reversible=True, mct=True)),
    ("RGB", JPEG2000Lossless, lambda frame: imagecodecs.jpeg2k_encode(
        frame, codecformat="j2k", level=0, reversible=True, mct=False)),
    ("YBR_RCT", HTJ2KLossless, lambda frame: imagecodecs.htj2k_encode(frame, reversible=True)),
    ("RGB", JPEGXLLossless, lambda frame: imagecodecs.jpegxl_encode(frame, lossless=True)),
    ("YBR_FULL_422", JPEGXLJPEGRecompression, lambda frame: imagecodecs.jpegxl_encode(
        frame, lossless=True)),
]  # fmt: skip


@pytest.mark.parametrize(("photometric", "syntax", "encode"), COLOUR_ENCODERS)
def test_colour_becomes_grey(photometric: str, syntax: UID, encode: Encoder) -> None:
    blocks = colour_blocks()
    elements = {**COLOUR, "PhotometricInterpretation": photometric}
    found = decode(encoded_file(blocks, syntax, encode, **elements), LIMITS)
    middles = found.pixels[8, 8::16].astype(int)
    assert np.abs(middles - GREYS).max() <= 2
    assert found.info.grey == "as_stored"


def test_an_rgb_jpeg_without_a_marker_is_not_taken_for_ycbcr() -> None:
    data = imagecodecs.jpeg8_encode(
        colour_blocks(), level=95, colorspace="RGB", outcolorspace="RGB"
    )
    marker = data.index(b"\xff\xee")
    bare = data[:marker] + data[marker + 16 :]  # components 1, 2, 3 and nothing else
    start = bare.index(b"\xff\xc0")
    bare = (
        bare[: start + 10]
        + bytes(
            byte if index % 3 else index // 3 + 1
            for index, byte in enumerate(bare[start + 10 : start + 19])
        )
        + bare[start + 19 :]
    )
    scan = bare.index(b"\xff\xda")
    bare = bare[: scan + 5] + b"\x01\0\x02\0\x03\0" + bare[scan + 11 :]
    found = decode(encapsulated_file([bare], JPEGBaseline8Bit, colour_blocks(), **COLOUR), LIMITS)
    assert np.abs(found.pixels[8, 8::16].astype(int) - GREYS).max() <= 2


def test_a_jpeg_2000_file_within_the_frame_is_passed_through() -> None:
    film = textured()
    boxed = imagecodecs.jpeg2k_encode(
        film, codecformat="jp2", level=0, reversible=True, bitspersample=12
    )
    found = decode(encapsulated_file([boxed], JPEG2000Lossless, film, **TWELVE), LIMITS)
    np.testing.assert_allclose(found.pixels, film / 4095 * 65535, atol=0.51)


def test_comments_after_the_last_tile_are_passed_over() -> None:
    film = textured()
    codestream = EXACT[JPEG2000Lossless](film)
    padded = codestream[:-2] + b"\xff\x64\x00\x06\x00\x00\x41\x42" + codestream[-2:]
    found = decode(encapsulated_file([padded], JPEG2000Lossless, film, **TWELVE), LIMITS)
    np.testing.assert_allclose(found.pixels, film / 4095 * 65535, atol=0.51)


@pytest.mark.parametrize("container", [False, True])
def test_jpeg_xl_comes_with_and_without_a_container(container: bool) -> None:
    film = textured()
    frame = imagecodecs.jpegxl_encode(film, lossless=True, bitspersample=12, usecontainer=container)
    found = decode(encapsulated_file([frame], JPEGXLLossless, film, **TWELVE), LIMITS)
    np.testing.assert_allclose(found.pixels, film / 4095 * 65535, atol=0.51)
