"""JPEGs that lost bytes in the middle: libjpeg invents the rest and says nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
from pydicom.uid import (
    UID,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
)

from solo.decoding.codecs.jpeg_header import read_jpeg_header
from solo.decoding.codecs.jpeg_lossless import bits_needed
from solo.decoding.codecs.jpeg_scans import read_scans
from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from solo.errors import MalformedError, TruncatedError
from tests.support.encapsulated import as_deep, encapsulated_file
from tests.support.films import chest, flat
from tests.support.lossless_jpeg import lossless_jpeg

LIMITS = Limits(max_pixels=100_000)
TWELVE: dict[str, Any] = {"BitsStored": 12, "HighBit": 11}
NOISE = np.random.default_rng(4)
FILM = (chest(96, 88) + NOISE.integers(0, 40, (96, 88))).astype(np.uint16)
GREY = (FILM // 16).astype(np.uint8)
COLOUR = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])
Image = npt.NDArray[np.uint8]


def cv2_jpeg(image: Image, *options: int) -> bytes:
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95, *options])[1].tobytes()


UPLOADS: dict[str, Callable[[Image], bytes]] = {
    "sequential": cv2_jpeg,
    "optimised": lambda image: cv2_jpeg(image, cv2.IMWRITE_JPEG_OPTIMIZE, 1),
    "progressive": lambda image: cv2_jpeg(image, cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "restarts": lambda image: cv2_jpeg(image, cv2.IMWRITE_JPEG_RST_INTERVAL, 3),
    "progressive restarts": lambda image: cv2_jpeg(
        image, cv2.IMWRITE_JPEG_RST_INTERVAL, 5, cv2.IMWRITE_JPEG_PROGRESSIVE, 1
    ),
    "four inks": lambda image: bytes(
        imagecodecs.jpeg8_encode(
            np.dstack([image.reshape(*image.shape[:2], -1)[:, :, :1]] * 4),
            colorspace="CMYK",
            outcolorspace="CMYK",
        )
    ),
}


@pytest.mark.parametrize("kind", UPLOADS)
@pytest.mark.parametrize("image", [GREY, COLOUR, flat(128), flat(128, 5, 3), flat(127, 17, 90)])
def test_a_whole_jpeg_is_never_refused(kind: str, image: Image) -> None:
    data = UPLOADS[kind](image)
    assert decode(data, LIMITS).pixels.shape == image.shape[:2]
    padded = data[:-2] + b"\xff\xff\xff\xd9" + b"\0 what follows the end"
    assert np.array_equal(decode(padded, LIMITS).pixels, decode(data, LIMITS).pixels)


def refusals(data: bytes, lost: int, read: Callable[[bytes], object], tries: int = 24) -> int:
    """In how many of the tries a file is refused that lost so many bytes of its last scan."""
    start = data.rindex(b"\xff\xda") + 14
    places = np.linspace(start, len(data) - lost - 20, tries).astype(int)
    assert start < places[-1]
    refused = 0
    for place in places:
        try:
            read(data[:place] + data[place + lost :])
        except MalformedError:
            refused += 1
    return refused


@pytest.mark.parametrize("kind", ["sequential", "optimised", "restarts", "four inks"])
@pytest.mark.parametrize("image", [GREY, COLOUR])
def test_a_jpeg_that_lost_bytes_is_refused(kind: str, image: Image) -> None:
    data = UPLOADS[kind](image)
    assert refusals(data, 700, lambda cut: decode(cut, LIMITS)) == 24
    assert refusals(data, 100, lambda cut: decode(cut, LIMITS)) >= 12  # of less than two units


def test_a_progressive_jpeg_that_lost_half_a_scan_is_refused() -> None:
    data = UPLOADS["progressive"](GREY)
    first = data.index(b"\xff\xda") + 12
    with pytest.raises(MalformedError):  # the first scan, of which the others do not depend
        decode(data[: first + 10] + data[first + 90 :], LIMITS)


@pytest.mark.parametrize(
    ("syntax", "film", "elements"),
    [(JPEGBaseline8Bit, GREY, {}), (JPEGExtended12Bit, FILM, TWELVE)],
)
def test_a_lossy_frame_that_lost_bytes_is_refused(
    syntax: UID, film: npt.NDArray[Any], elements: dict[str, Any]
) -> None:
    frame = bytes(as_deep(imagecodecs.jpeg8_encode, level=98)(film))

    def read(cut: bytes) -> object:
        return decode(encapsulated_file([cut], syntax, film, **elements), LIMITS)

    assert refusals(frame, 600, read) == 24
    middle = len(frame) // 3
    with pytest.raises(TruncatedError, match="end before its image does"):
        read(frame[:middle] + frame[middle + 600 :])


@pytest.mark.parametrize("predictor", range(1, 8))
@pytest.mark.parametrize(
    ("precision", "shift", "restart_rows"), [(12, 0, 0), (16, 3, 0), (12, 2, 7), (16, 0, 1)]
)
def test_bits_are_counted_to_the_last(
    predictor: int, precision: int, shift: int, restart_rows: int
) -> None:
    film = FILM[:40, :30] * np.uint16(1 << (precision - 12))
    data = lossless_jpeg(film, precision, predictor, shift, restart_rows)
    decoded = imagecodecs.jpeg8_decode(data)
    assert np.array_equal(decoded, film >> shift << shift)
    header = read_jpeg_header(data)
    (scan,) = read_scans(data, header)
    assert len(scan.segments) == (-(-40 // restart_rows) if restart_rows else 1)
    padding = 8 * scan.coded_bytes - bits_needed(decoded, precision, scan)
    assert np.all((padding >= 0) & (padding < 8))
    found = decode(encapsulated_file([data], JPEGLossless, film), LIMITS)
    assert found.pixels.shape == film.shape


def test_the_largest_difference_has_no_bits_of_its_own() -> None:
    film = np.array([[32768, 0, 32768, 65535, 32767, 0]], np.uint16)
    data = lossless_jpeg(film, 16)
    header = read_jpeg_header(data)
    (scan,) = read_scans(data, header)
    assert bits_needed(film, 16, scan).tolist() == [2 + 16 + 16 + (15 + 15) + 16 + (15 + 15)]


@pytest.mark.parametrize("restart_rows", [0, 5])
@pytest.mark.parametrize(("lost", "least"), [(2, 12), (9, 20), (40, 24), (400, 24)])
def test_a_lossless_frame_that_lost_bytes_is_refused(
    lost: int, least: int, restart_rows: int
) -> None:
    film = FILM[:40]
    frame = lossless_jpeg(film, 12, 1, 0, restart_rows)
    if not restart_rows:
        frame = bytes(imagecodecs.jpeg8_encode(film, bitspersample=12, lossless=True))

    def read(cut: bytes) -> object:
        return decode(encapsulated_file([cut], JPEGLosslessSV1, film, **TWELVE), LIMITS)

    assert refusals(frame, lost, read) >= least


@pytest.mark.parametrize("fill", [b"", b"\0", b"\0\0", b"\xff\0\xff\0"])
def test_a_lossless_frame_may_be_filled_up(fill: bytes) -> None:
    frame = bytes(imagecodecs.jpeg8_encode(FILM, bitspersample=12, lossless=True))
    filled = encapsulated_file([frame[:-2] + fill + frame[-2:]], JPEGLosslessSV1, FILM, **TWELVE)
    plain = encapsulated_file([frame], JPEGLosslessSV1, FILM, **TWELVE)
    assert np.array_equal(decode(filled, LIMITS).pixels, decode(plain, LIMITS).pixels)
    more = frame[:-2] + b"\x12\x34\x56" + frame[-2:]
    with pytest.raises(MalformedError, match="more data than its image takes"):
        decode(encapsulated_file([more], JPEGLosslessSV1, FILM, **TWELVE), LIMITS)


def test_eight_bits_without_loss_are_counted_too() -> None:
    frame = bytes(imagecodecs.jpeg8_encode(GREY, lossless=True, predictor=1))
    whole = encapsulated_file([frame], JPEGLosslessSV1, GREY)
    assert np.array_equal(decode(whole, LIMITS).pixels, GREY)
    middle = len(frame) // 2
    cut = encapsulated_file([frame[:middle] + frame[middle + 3 :]], JPEGLosslessSV1, GREY)
    with pytest.raises(TruncatedError, match="end before its image does"):
        decode(cut, LIMITS)


def test_restarts_are_counted_and_in_order() -> None:
    data = UPLOADS["restarts"](GREY)
    places = [at for at in range(len(data) - 1) if data[at] == 0xFF and 0xD0 <= data[at + 1] < 0xD8]
    assert len(places) == 43  # 12 x 11 blocks, three by three
    without = data[: places[3]] + data[places[4] :]
    with pytest.raises(TruncatedError, match="42 restart markers, but its image needs 43"):
        decode(without, LIMITS)
    eight = data[: places[3]] + data[places[11] :]
    with pytest.raises(TruncatedError, match="35 restart markers"):
        decode(eight, LIMITS)
    swapped = data[: places[3] + 1] + b"\xd7" + data[places[3] + 2 :]
    with pytest.raises(MalformedError, match="not in order"):
        decode(swapped, LIMITS)
    habit = data[:-2] + bytes([0xFF, 0xD0 + 43 % 8]) + data[-2:]
    assert np.array_equal(decode(habit, LIMITS).pixels, decode(data, LIMITS).pixels)


@pytest.mark.parametrize("marker", [0xD0, 0xC0, 0x01, 0xD8, 0xF7])
def test_a_marker_among_the_data_is_refused(marker: int) -> None:
    data = UPLOADS["sequential"](GREY)
    middle = len(data) // 2
    with pytest.raises(MalformedError):
        decode(data[:middle] + bytes([0xFF, marker]) + data[middle:], LIMITS)


def test_a_scan_of_nothing_is_refused() -> None:
    data = UPLOADS["progressive"](COLOUR)
    scan = data.rindex(b"\xff\xda")
    with pytest.raises(MalformedError, match="of a component that it does not have"):
        decode(data[: scan + 5] + b"\x09" + data[scan + 6 :], LIMITS)
    with pytest.raises(MalformedError, match="damaged scan header"):
        decode(data[: scan + 4] + b"\x00" + data[scan + 5 :], LIMITS)
    with pytest.raises(MalformedError, match="more than 200 scans"):
        decode(data[:-2] + data[scan:-2] * 200 + data[-2:], LIMITS)


def test_a_frame_of_no_components_is_refused() -> None:
    data = UPLOADS["sequential"](GREY)
    start = data.index(b"\xff\xc0")
    empty = data[: start + 9] + b"\0" + data[start + 10 :]
    with pytest.raises(MalformedError, match="damaged frame header"):
        decode(empty, LIMITS)
