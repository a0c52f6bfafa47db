"""JPEGs that lost bytes in the middle: libjpeg invents the rest and says nothing."""

from __future__ import annotations

import contextlib
import struct
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
from solo.decoding.codecs.jpeg_lossless import check_bits
from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from solo.errors import MalformedError, SoloError, TruncatedError, UnsupportedEncodingError
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
    padded = data[:-2] + b"\xff\xff" + data[-2:] + b"\0 what follows the end"
    assert np.array_equal(decode(padded, LIMITS).pixels, decode(data, LIMITS).pixels)


@pytest.mark.parametrize("kind", UPLOADS)
@pytest.mark.parametrize("image", [GREY, COLOUR])
def test_a_jpeg_may_be_filled_up_with_zeros(kind: str, image: Image) -> None:
    data = UPLOADS[kind](image)
    for count in (1, 2, 4, 200):
        padded = data[:-2] + bytes(count) + data[-2:]
        assert np.array_equal(decode(padded, LIMITS).pixels, decode(data, LIMITS).pixels)


def test_what_libjpeg_warns_of_but_makes_no_pixels_is_passed_over() -> None:
    data = UPLOADS["sequential"](COLOUR)
    expected = decode(data, LIMITS).pixels
    version = data.replace(b"JFIF\0\1", b"JFIF\0\7", 1)
    transform = data[:2] + b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\xdb" + data[20:]
    scan = data.index(b"\xff\xda") + 2
    spectrum = data[: scan + 9] + b"\0\0\0" + data[scan + 12 :]
    for odd in (version, transform, spectrum):
        assert odd != data
        assert np.array_equal(decode(odd, LIMITS).pixels, expected)


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
    assert refusals(data, 100, lambda cut: decode(cut, LIMITS)) >= 20
    assert refusals(data, 2, lambda cut: decode(cut, LIMITS)) >= 4


@pytest.mark.parametrize("kind", UPLOADS)
@pytest.mark.parametrize("image", [GREY, COLOUR])
def test_a_jpeg_cut_before_its_end_marker_is_refused(kind: str, image: Image) -> None:
    data = UPLOADS[kind](image)
    start = data.rindex(b"\xff\xda") + 14
    for place in np.linspace(start, len(data) - 20, 24).astype(int):
        with pytest.raises(MalformedError):
            decode(data[:place] + data[-2:], LIMITS)
    with pytest.raises(TruncatedError, match="no end"):
        decode(data[:-2], LIMITS)


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
    assert refusals(frame, 2, read) >= 4
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
    check_one_byte_less_and_more(data, decoded)
    found = decode(encapsulated_file([data], JPEGLossless, film), LIMITS)
    assert found.pixels.shape == film.shape


def check_one_byte_less_and_more(data: bytes, samples: npt.NDArray[Any]) -> None:
    """All segments are whole, the last one is not without its last byte, nor with one more."""
    check_bits(data, read_jpeg_header(data), samples)
    less = data[: -4 if data[-4:-2] == b"\xff\0" else -3] + data[-2:]
    with pytest.raises(TruncatedError, match="part is missing"):
        check_bits(less, read_jpeg_header(less), samples)
    with pytest.raises(MalformedError, match="more data than its image takes"):
        check_bits(data[:-2] + b"\x12" + data[-2:], read_jpeg_header(data), samples)


def test_the_largest_difference_has_no_bits_of_its_own() -> None:
    film = np.array([[32768, 0, 32768, 65535, 32767, 0]], np.uint16)
    check_one_byte_less_and_more(lossless_jpeg(film, 16), film)


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


@pytest.mark.parametrize("restart_rows", [0, 5])
def test_a_lossless_frame_needs_no_end(restart_rows: int) -> None:
    frame = lossless_jpeg(FILM, 12, 1, 0, restart_rows)[:-2]
    assert frame[-1] != 0

    def read(cut: bytes) -> npt.NDArray[Any]:
        return decode(encapsulated_file([cut], JPEGLosslessSV1, FILM, **TWELVE), LIMITS).pixels

    assert np.array_equal(read(frame), read(frame + b"\xff\xd9"))
    for lost in (1, 2, 3, 40, 1000):
        with pytest.raises(MalformedError):
            read(frame[:-lost])


def test_more_lines_than_libjpeg_reads_are_named() -> None:
    data = bytearray(cv2_jpeg(GREY))
    start = data.index(b"\xff\xc0") + 5
    data[start : start + 4] = (65_501).to_bytes(2, "big") + b"\0\1"
    with pytest.raises(UnsupportedEncodingError, match="65,501 x 1 pixels"):
        decode(bytes(data), LIMITS)


@pytest.mark.parametrize("marker", [0xC3, 0xC7, 0xCB, 0xCF])
def test_no_lossless_frame_is_read_at_an_eighth(
    marker: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """simplejpeg ends the process that asks it for a smaller lossless image."""
    asked: list[object] = []
    monkeypatch.setattr("simplejpeg.decode_jpeg", lambda *_, **options: asked.append(options))
    frame = bytearray(imagecodecs.jpeg8_encode(FILM, bitspersample=12, lossless=True))
    frame[frame.index(b"\xff\xc3") + 1] = marker
    with contextlib.suppress(SoloError):
        decode(encapsulated_file([bytes(frame)], JPEGLosslessSV1, FILM, **TWELVE), LIMITS)
    assert not asked


def test_filling_before_a_marker_has_an_end() -> None:
    data = cv2_jpeg(GREY)
    with pytest.raises(MalformedError, match="more than 10,000 segments"):
        decode(data[:2] + b"\xff" * 10_000 + data[2:], LIMITS)


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
    eight = data[: places[3]] + data[places[11] :]
    swapped = data[: places[3] + 1] + b"\xd7" + data[places[3] + 2 :]
    for damaged in (without, eight, swapped):
        with pytest.raises(MalformedError):
            decode(damaged, LIMITS)
    habit = data[:-2] + bytes([0xFF, 0xD0 + 43 % 8]) + data[-2:]
    assert np.array_equal(decode(habit, LIMITS).pixels, decode(data, LIMITS).pixels)


def test_restarts_of_a_lossless_frame_are_in_order() -> None:
    film = FILM[:40]
    frame = lossless_jpeg(film, 12, restart_rows=5)
    expected = decode(encapsulated_file([frame], JPEGLosslessSV1, film, **TWELVE), LIMITS).pixels
    habit = frame[:-2] + b"\xff\xd7" + frame[-2:]
    found = decode(encapsulated_file([habit], JPEGLosslessSV1, film, **TWELVE), LIMITS)
    assert np.array_equal(found.pixels, expected)
    second = frame.index(b"\xff\xd1")
    for damaged in (
        frame[: second + 1] + b"\xd2" + frame[second + 2 :],
        frame[:second] + frame[frame.index(b"\xff\xd2") :],
    ):
        with pytest.raises(MalformedError, match="restart markers are not in order"):
            decode(encapsulated_file([damaged], JPEGLosslessSV1, film, **TWELVE), LIMITS)


@pytest.mark.parametrize("marker", [0xD0, 0xC0, 0x01, 0xD8, 0xF7])
def test_a_marker_among_the_data_is_refused(marker: int) -> None:
    data = UPLOADS["sequential"](GREY)
    middle = len(data) // 2
    with pytest.raises(MalformedError):
        decode(data[:middle] + bytes([0xFF, marker]) + data[middle:], LIMITS)


def test_a_scan_of_nothing_is_refused() -> None:
    data = UPLOADS["progressive"](COLOUR)
    scan = data.rindex(b"\xff\xda")
    for damaged in (
        data[: scan + 5] + b"\x09" + data[scan + 6 :],  # a component that there is not
        data[: scan + 4] + b"\x00" + data[scan + 5 :],  # of none
    ):
        with pytest.raises(MalformedError):
            decode(damaged, LIMITS)
    with pytest.raises(MalformedError, match="more than 200 scans"):
        decode(data[:-2] + data[scan:-2] * 200 + data[-2:], LIMITS)


def test_a_frame_of_no_components_is_refused() -> None:
    data = UPLOADS["sequential"](GREY)
    start = data.index(b"\xff\xc0")
    empty = data[: start + 9] + b"\0" + data[start + 10 :]
    with pytest.raises(MalformedError, match="damaged frame header"):
        decode(empty, LIMITS)


def test_sampling_factors_that_are_not_read_are_named() -> None:
    data = UPLOADS["sequential"](COLOUR)
    start = data.index(b"\xff\xc0")
    with pytest.raises(UnsupportedEncodingError, match="sampling factors"):
        decode(data[: start + 11] + b"\x31" + data[start + 12 :], LIMITS)


@pytest.mark.parametrize("kept", range(15))
def test_a_frame_header_that_is_cut_short_is_damage(kept: int) -> None:
    data = bytes(cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1])
    at = data.index(b"\xff\xc0")
    short = struct.pack(">H", kept + 2) + data[at + 4 : at + 4 + kept]
    with pytest.raises(MalformedError):
        read_jpeg_header(data[: at + 2] + short + data[at + 19 :])
