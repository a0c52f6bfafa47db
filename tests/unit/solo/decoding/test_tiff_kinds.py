"""Kinds of pixels and codings, in files of tifffile, of libtiff (OpenCV) and by hand."""

from __future__ import annotations

import io
import zlib
from typing import Any

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from solo.errors import MalformedError, NotSegmentableError, SoloError
from tests.support.films import chest, jpeg, png
from tests.support.tiff import by_hand, packed

LIMITS = Limits(max_pixels=100_000)
DEEP = chest()
GREY = (DEEP // 16).astype(np.uint8)
COLOUR = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])
JPEG_TAGS: dict[str, Any] = {"t259": 7}


def pixels(data: bytes) -> npt.NDArray[Any]:
    return decode(data, LIMITS).pixels


def written(film: npt.NDArray[Any], **form: Any) -> bytes:
    """A file of tifffile, which its own reader and libtiff read back."""
    file = io.BytesIO()
    tifffile.imwrite(file, film, metadata=None, **form)
    data = file.getvalue()
    assert np.array_equal(tifffile.imread(io.BytesIO(data)), film)
    return data


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("predictor", [1, 2])
@pytest.mark.parametrize("compression", ["lzw", "zlib"])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 9}, {"tile": (32, 48)}], ids=str)
def test_tifffiles_files_are_read(
    compression: str, predictor: int, layout: dict[str, Any], order: str
) -> None:
    for film in (GREY, DEEP):
        form = {"compression": compression, "predictor": predictor, "byteorder": order, **layout}
        assert np.array_equal(
            pixels(written(film, photometric="minisblack", **form)), pixels(png(film))
        )


@pytest.mark.parametrize("compression", [1, 5, 8, 32773, 32946])
def test_opencvs_files_are_read(compression: int) -> None:
    for film in (GREY, DEEP, COLOUR):
        data = cv2.imencode(".tiff", film, [cv2.IMWRITE_TIFF_COMPRESSION, compression])[1].tobytes()
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            assert file.pages.first.compression == compression
        assert np.array_equal(pixels(data), pixels(png(film)))


@pytest.mark.parametrize("form", [{}, {"rowsperstrip": 9}, {"tile": (32, 16)}], ids=str)
def test_colours_in_planes_are_those_of_pixels(form: dict[str, Any]) -> None:
    for colour in (COLOUR, COLOUR.astype(np.uint16) * 257):
        planes = np.moveaxis(colour, 2, 0)
        data = written(planes, photometric="rgb", planarconfig="separate", **form)
        assert np.array_equal(pixels(data), pixels(by_hand(colour)))


def test_one_sample_may_be_in_planes() -> None:
    assert np.array_equal(pixels(by_hand(GREY, t284=2)), GREY)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("width", [60, 57])
def test_few_bits_span_black_to_white(bits: int, width: int) -> None:
    stored = (GREY >> (8 - bits))[:, :width]
    most = 2**bits - 1
    found = pixels(by_hand(stored, stored=packed(stored, bits), t258=(bits,)))
    assert np.array_equal(found, stored * (255 // most))
    inverse = pixels(by_hand(stored, stored=packed(stored, bits), t258=(bits,), t262=0))
    assert np.array_equal(inverse, 255 - found)
    ramp = tuple(range(0, 65536, 65535 // most)) * 3
    palette = by_hand(stored, stored=packed(stored, bits), t258=(bits,), t262=3, t320=ramp)
    assert np.array_equal(pixels(palette), found)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_detector_values_are_those_of_16_bits(bits: int) -> None:
    values = (DEEP[:, :57] >> (12 - min(bits, 12))).astype(np.uint16)
    data = by_hand(values, stored=zlib.compress(packed(values, bits)), t258=(bits,), t259=8)
    assert np.array_equal(pixels(data), pixels(png(values)))
    white = by_hand((2**bits - 1 - values).astype(np.uint16), t262=0)
    inverted = packed(2**bits - 1 - values, bits)
    assert np.array_equal(
        pixels(by_hand(values, stored=inverted, t258=(bits,), t262=0)), pixels(white)
    )


NUMBERS = [
    (DEEP.astype(np.int16) - 2000, 2),
    (DEEP.astype(np.int32) * 16 - 40_000, 2),
    (DEEP.astype(np.uint32) * 100_000, 1),
    (DEEP.astype(np.float32) / 4096 - 0.25, 3),
]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("film", "sample_format"), NUMBERS, ids=lambda value: str(value)[:0])
def test_numbers_are_stretched_as_16_bits_are(
    film: npt.NDArray[Any], sample_format: int, order: Any
) -> None:
    expected = pixels(png(DEEP)).astype(int)
    found = decode(by_hand(film, order=order, t339=sample_format), LIMITS)
    assert found.info.grey == "percentiles"
    assert np.abs(found.pixels.astype(int) - expected).max() <= 1
    white = pixels(by_hand(film, order=order, t339=sample_format, t262=0)).astype(int)
    assert np.abs(65535 - white - expected).max() <= 1


def test_one_bright_pixel_does_not_darken_a_film_of_numbers() -> None:
    film, clipped = DEEP.astype(np.float32), DEEP.copy()
    film[0, :2], clipped[0, :2] = (np.finfo(np.float32).max, np.finfo(np.float32).min), (65535, 0)
    found, expected = pixels(by_hand(film, t339=3)), pixels(png(clipped))
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert not pixels(by_hand(np.full_like(film, 7), t339=3)).any()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_refused(value: float) -> None:
    film = DEEP.astype(np.float32)
    film[3, 3] = value
    with pytest.raises(NotSegmentableError, match="finite"):
        decode(by_hand(film, t339=3), LIMITS)


def test_a_missing_interpretation_is_taken_as_libtiff_takes_it() -> None:
    for film in (GREY, COLOUR):
        data = bytearray(by_hand(film))
        at = data.index(b"\x06\x01\x04\0")  # tag 262
        data[at : at + 2] = b"\x07\x01"  # 263, thresholding
        assert np.array_equal(pixels(bytes(data)), pixels(by_hand(film)))


def test_the_length_of_one_uncompressed_strip_may_be_missing() -> None:
    data = bytearray(by_hand(DEEP))
    at = data.index(b"\x17\x01\x04\0")  # tag 279
    data[at : at + 2] = b"\x18\x01"
    assert np.array_equal(pixels(bytes(data)), pixels(png(DEEP)))
    assert np.array_equal(pixels(by_hand(DEEP, t279=0)), pixels(png(DEEP)))
    with pytest.raises(MalformedError, match="within its pixels"):
        decode(bytes(data)[:-1], LIMITS)


def test_a_palette_of_8_bits_is_told_by_its_values() -> None:
    ramp = tuple(range(255, -1, -1))
    found = pixels(by_hand(GREY, t262=3, t320=3 * ramp))
    assert np.array_equal(found, 255 - GREY)
    with pytest.raises(MalformedError, match="not of 256 colours"):
        decode(by_hand(GREY, t262=3, t320=ramp), LIMITS)


@pytest.mark.parametrize("film", [GREY, COLOUR], ids=["grey", "colour"])
@pytest.mark.parametrize("form", [{"rowsperstrip": 16}, {"tile": (32, 48)}], ids=str)
def test_a_jpeg_in_a_tiff_is_that_of_libtiff(film: npt.NDArray[Any], form: dict[str, Any]) -> None:
    file = io.BytesIO()
    photometric = "minisblack" if film.ndim == 2 else "rgb"  # tifffile makes YCbCr of it
    tifffile.imwrite(file, film, metadata=None, photometric=photometric, compression="jpeg", **form)
    data = file.getvalue()
    by_libtiff = np.asarray(imagecodecs.tiff_decode(data, asrgb=True), np.uint8)[:, :, :3]
    expected = cv2.cvtColor(by_libtiff, cv2.COLOR_RGB2GRAY).astype(int)
    assert np.abs(pixels(data).astype(int) - expected).max() <= 3


def test_a_jpeg_in_a_tiff_may_have_its_tables_apart() -> None:
    data = cv2.imencode(".tiff", GREY, [cv2.IMWRITE_TIFF_COMPRESSION, 7])[1].tobytes()
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        assert file.pages.first.jpegtables
        expected = file.pages.first.asarray()
    assert np.array_equal(pixels(data), expected)


def test_a_damaged_jpeg_in_a_tiff_is_refused() -> None:
    stored = jpeg(GREY)
    whole = by_hand(GREY, stored=stored, **JPEG_TAGS)
    assert np.array_equal(pixels(whole), pixels(stored))
    other: dict[str, Any] = {"t257": len(GREY) - 1, "t278": len(GREY) - 1}
    for data in (
        by_hand(GREY, stored=stored[:-200], **JPEG_TAGS),
        by_hand(GREY, stored=stored[:-300] + stored[-2:], **JPEG_TAGS),
        by_hand(GREY, stored=b"\0" * 900, **JPEG_TAGS),
        by_hand(GREY, stored=stored, **JPEG_TAGS, **other),
        by_hand(GREY, stored=jpeg(chest(500, 500).astype(np.uint8)), **JPEG_TAGS),
    ):
        with pytest.raises(SoloError):
            decode(data, LIMITS)
