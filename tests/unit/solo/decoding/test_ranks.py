"""Three ranks of elements: a wrong one refuses the film, is passed over, or gives null."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from solo.decoding.decode import decode
from solo.decoding.pixel_spacing import PixelSpacing
from solo.decoding.radiograph import Limits, Radiograph
from solo.errors import SoloError
from tests.support.dicom import dicom_file
from tests.support.films import chest

FILM = chest()
TWELVE: dict[str, Any] = {"BitsStored": 12, "HighBit": 11}
PLAIN = dicom_file(FILM, **TWELVE)
WINDOWED = dicom_file(FILM, WindowCenter=2000, WindowWidth=1000, **TWELVE)


def read(data: bytes) -> Radiograph:
    return decode(data, Limits(100_000))


PERCENTILES, WINDOW = read(PLAIN).pixels, read(WINDOWED).pixels


def element(tag: int, representation: bytes, value: bytes) -> bytes:
    value += b" " * (len(value) % 2)
    head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, representation)
    long = representation in (b"OB", b"OW", b"SQ", b"UN")
    return head + struct.pack("<HI" if long else "<H", *([0] if long else []), len(value)) + value


def with_element(tag: int, representation: bytes, value: bytes, data: bytes = WINDOWED) -> bytes:
    at = data.rindex(b"\xe0\x7f\x10\x00O")
    return data[:at] + element(tag, representation, value) + data[at:]


PIXEL_SPACING, IMAGER_SPACING = 0x00280030, 0x00181164


@pytest.mark.parametrize("tag", [PIXEL_SPACING, IMAGER_SPACING])
@pytest.mark.parametrize(
    "value", [b"0.143mm", b"0.143mm\\0.143mm", b"n/a", b"0.143", b"\\", b"0\\0", b"-1\\-1",
              b"nan\\nan", b"0.1\\inf", b"0.143 x 0.143", b"1\\" * 5000, b""],
)  # fmt: skip
@pytest.mark.parametrize("representation", [b"DS", b"LO", b"UN", b"OB", b"OW", b"SQ"])
def test_a_spacing_that_cannot_be_read_is_null(
    tag: int, value: bytes, representation: bytes
) -> None:
    found = read(with_element(tag, representation, value))
    assert found.info.pixel_spacing is None
    assert np.array_equal(found.pixels, WINDOW)


@pytest.mark.parametrize("representation", [b"DS", b"LO", b"UN"])
@pytest.mark.parametrize(
    "value", [b"0,143\\0,15", b" 0,143 \\0.15", b"0.143\\0.15\0", b"143e-3\\,15"]
)
def test_a_decimal_comma_is_a_point(representation: bytes, value: bytes) -> None:
    found = read(with_element(IMAGER_SPACING, representation, value))
    assert found.info.pixel_spacing == PixelSpacing(0.143, 0.15, "detector")


def test_a_window_and_a_rescale_may_have_a_decimal_comma() -> None:
    expected = dicom_file(
        FILM, WindowCenter=100.5, WindowWidth=700.5, RescaleSlope=0.5, RescaleIntercept=-900.5,
        **TWELVE,
    )  # fmt: skip
    data = PLAIN
    for tag, value in (
        (0x00281050, b"100,5"), (0x00281051, b"700,5"), (0x00281052, b"-900,5"),
        (0x00281053, b"0,5"),
    ):  # fmt: skip
        data = with_element(tag, b"DS", value, data)
    assert read(data).info.grey == "window"
    assert np.array_equal(read(data).pixels, read(expected).pixels)


DISPLAY = {
    "WindowCenter": 0x00281050,
    "WindowWidth": 0x00281051,
    "VOILUTFunction": 0x00281056,
    "VOILUTSequence": 0x00283010,
    "PixelPaddingValue": 0x00280120,
    "PixelPaddingRangeLimit": 0x00280121,
    "PresentationLUTShape": 0x20500020,
    "PresentationIntentType": 0x00080068,
    "PixelSpacingCalibrationType": 0x00280A02,
}


@pytest.mark.parametrize("keyword", DISPLAY)
@pytest.mark.parametrize("representation", [b"OW", b"OB", b"SQ", b"UN", b"LO", b"FD", b"IS", b"AT"])
@pytest.mark.parametrize("value", [b"what", b"\xff\xff\xff", b"Q\\" * 5000])
def test_what_is_for_display_alone_refuses_no_film(
    keyword: str, representation: bytes, value: bytes
) -> None:
    found = read(with_element(DISPLAY[keyword], representation, value, PLAIN))
    assert np.array_equal(found.pixels, PERCENTILES)


@pytest.mark.parametrize("tag", [0x00281052, 0x00281053])
@pytest.mark.parametrize("value", [b"n/a", b"1.0.0", b"0x10", b"nan", b"1\\" * 5000])
def test_without_its_rescale_a_film_keeps_its_greys_but_not_its_window(
    tag: int, value: bytes
) -> None:
    other = with_element(0x00281053 ^ 0x00281052 ^ tag, b"DS", b"1")
    found = read(with_element(tag, b"DS", value, other))
    assert found.info.grey == "percentiles"
    assert np.array_equal(found.pixels, PERCENTILES)


def test_a_slope_turns_a_film_even_if_its_intercept_is_lost() -> None:
    turned = read(dicom_file(FILM, RescaleSlope=-1, RescaleIntercept=4095, **TWELVE)).pixels
    lost = with_element(0x00281052, b"DS", b"n/a", with_element(0x00281053, b"DS", b"-1"))
    assert np.array_equal(read(lost).pixels, turned)


@pytest.mark.parametrize(
    ("center", "width"),
    [
        ([0, 2000], [0, 1000]),
        ([2000], [1000, 7]),
        ([2000, 7], [1000]),
        ([-9000, 2000], [10, 1000]),  # beside all values
        (["2000", "2000", "2000"], ["-5", "0.3", "1000"]),
    ],
)
def test_of_several_windows_the_first_that_is_usable_holds(
    center: list[Any], width: list[Any]
) -> None:
    found = read(dicom_file(FILM, WindowCenter=center, WindowWidth=width, **TWELVE))
    assert found.info.grey == "window"
    assert np.array_equal(found.pixels, WINDOW)


def test_a_window_that_is_no_number_leaves_the_next_one() -> None:
    data = with_element(0x00281050, b"DS", b"n/a\\2000", PLAIN)
    data = with_element(0x00281051, b"DS", b"1000\\1000", data)
    assert np.array_equal(read(data).pixels, WINDOW)


@pytest.mark.parametrize("value", [b"one", b"0", b"-3", b"", b"1.0", b"1\\1", b"nan"])
@pytest.mark.parametrize("representation", [b"IS", b"LO", b"UN"])
def test_one_frame_needs_no_count(representation: bytes, value: bytes) -> None:
    found = read(with_element(0x00280008, representation, value))
    assert found.info.frames == 1
    assert np.array_equal(found.pixels, WINDOW)


@pytest.mark.parametrize("value", [b"2", b"2.5", b"1000000"])
def test_frames_that_are_not_there_refuse_the_film(value: bytes) -> None:
    with pytest.raises(SoloError):
        read(with_element(0x00280008, b"IS", value))


REQUIRED = {"Rows": 0x10, "Columns": 0x11, "BitsAllocated": 0x100, "BitsStored": 0x101,
            "PixelRepresentation": 0x103, "SamplesPerPixel": 0x02}  # fmt: skip


@pytest.mark.parametrize("keyword", REQUIRED)
@pytest.mark.parametrize(
    ("representation", "value"),
    [(b"LO", b"many"), (b"LO", b"1.5 "), (b"LO", b"nan "), (b"AT", b"\1\0")],
)
def test_what_the_pixels_depend_on_refuses_the_film(
    keyword: str, representation: bytes, value: bytes
) -> None:
    data = dicom_file(FILM, without=(keyword,), BitsStored=12)
    with pytest.raises(SoloError, match=f"{keyword} is not an integer"):
        read(with_element(0x00280000 | REQUIRED[keyword], representation, value, data))


@pytest.mark.parametrize("high", [0, 5, 16, 31, 255])
def test_a_high_bit_that_cannot_be_is_that_of_the_bits_stored(high: int) -> None:
    assert np.array_equal(read(dicom_file(FILM, BitsStored=12, HighBit=high)).pixels, PERCENTILES)


@pytest.mark.parametrize("signed", [False, True])
def test_pixels_at_the_low_end_of_their_cells_disprove_a_high_bit_above(signed: bool) -> None:
    window: dict[str, Any] = {"WindowCenter": 0 if signed else 2000, "WindowWidth": 3000}
    film = FILM.astype(np.int16) - 2000 if signed else FILM
    expected = read(dicom_file(film, BitsStored=12, HighBit=11, **window)).pixels
    for high in (12, 14, 15):
        found = read(dicom_file(film, BitsStored=12, HighBit=high, **window)).pixels
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("signed", [False, True])
def test_pixels_at_the_high_end_of_their_cells_are_read_there(signed: bool) -> None:
    window: dict[str, Any] = {"WindowCenter": 0 if signed else 2000, "WindowWidth": 3000}
    film = FILM.astype(np.int16) - 2000 if signed else FILM
    expected = read(dicom_file(film, BitsStored=12, HighBit=11, **window)).pixels
    overlay = np.zeros_like(film)
    overlay[3, 4] = 5
    for below in (0, overlay):  # a retired overlay in the bits below
        found = read(dicom_file((film << 4) | below, BitsStored=12, HighBit=15, **window))
        assert np.array_equal(found.pixels, expected)


@pytest.mark.parametrize(
    "photometric", [None, "", "MONOCHROME", "MONOCHROME2", "monochrome2", "Monochrome2 "]
)
def test_grey_is_bright_where_values_are_high_unless_it_says_otherwise(
    photometric: str | None,
) -> None:
    data = dicom_file(FILM, without=("PhotometricInterpretation",), **TWELVE)
    if photometric is not None:
        data = with_element(0x00280004, b"CS", photometric.encode(), data)
    assert np.array_equal(read(data).pixels, PERCENTILES)


@pytest.mark.parametrize("photometric", [b"MONOCHROME1", b"monochrome1", b" Monochrome1\0"])
def test_monochrome1_is_known_in_any_case(photometric: bytes) -> None:
    data = dicom_file(FILM, without=("PhotometricInterpretation",), **TWELVE)
    data = with_element(0x00280004, b"CS", photometric, data)
    expected = read(dicom_file(FILM, PhotometricInterpretation="MONOCHROME1", **TWELVE)).pixels
    assert np.array_equal(read(data).pixels, expected)


@pytest.mark.parametrize("photometric", [b"MONOCHROME3", b"GREY", b"palette color", b"?"])
def test_another_photometric_interpretation_refuses_the_film(photometric: bytes) -> None:
    data = dicom_file(FILM, without=("PhotometricInterpretation",), **TWELVE)
    with pytest.raises(SoloError, match="is not supported"):
        read(with_element(0x00280004, b"CS", photometric, data))


def test_colour_says_how_many_samples_it_has() -> None:
    colour = np.arange(90, dtype=np.uint8).reshape(5, 6, 3)
    whole = dicom_file(colour, SamplesPerPixel=3)
    data = dicom_file(colour, SamplesPerPixel=3, without=("SamplesPerPixel",))
    assert np.array_equal(read(data).pixels, read(whole).pixels)


@pytest.mark.parametrize("syntax", [None, ImplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("padding", [0, 4095])
def test_padding_is_background_in_every_encoding(syntax: Any, padding: int) -> None:
    film = FILM.copy()
    film[:10] = padding
    options = {} if syntax is None else {"syntax": syntax}
    found = read(dicom_file(film, PixelPaddingValue=padding, **options, **TWELVE))
    assert not found.pixels[:10].any()
    assert found.pixels[10:].max() == 65535


@pytest.mark.parametrize("representation", [b"OW", b"OB", b"UN", b"SS", b"US"])
def test_padding_is_background_whatever_its_representation(representation: bytes) -> None:
    film = FILM.copy()
    film[:10] = 77
    data = dicom_file(film, **TWELVE)
    found = read(with_element(0x00280120, representation, struct.pack("<H", 77), data))
    assert not found.pixels[:10].any()


@pytest.mark.parametrize("padding", [-2000, -2000 & 0xFFFF, 4096 + 2096, 65535])
def test_padding_beyond_the_bits_stored_is_no_measurement_folded_into_them(padding: int) -> None:
    film = np.array([[2096, 0, 4095, padding & 0xFFFF]], np.uint16)
    data = dicom_file(film, WindowCenter=2048, WindowWidth=4096, **TWELVE)
    representation, form = (b"SS", "<h") if padding < 0 else (b"US", "<H")
    data = with_element(0x00280120, representation, struct.pack(form, padding), data)
    assert read(data).pixels.tolist() == [[round(2096 / 4095 * 65535), 0, 65535, 0]]


@pytest.mark.parametrize("padding", [-2000, -2000 & 0xFFFF, -2000 & 0xFFF])
def test_padding_of_signed_pixels_is_read_with_their_sign(padding: int) -> None:
    film = np.array([[-2000, 96, 2047]], np.int16)
    data = dicom_file(film, WindowCenter=0, WindowWidth=4096, **TWELVE)
    representation, form = (b"SS", "<h") if padding < 0 else (b"US", "<H")
    data = with_element(0x00280120, representation, struct.pack(form, padding), data)
    assert read(data).pixels[0, 0] == 0
    assert read(data).pixels[0, 1] > 30_000
