"""Whole pixels are whole, whatever follows them; excess that tells of a wrong header is refused."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from solo.decoding.decode import decode
from solo.decoding.dicom.transfer_syntaxes import DeflatedImageFrame, EncapsulatedUncompressed
from solo.decoding.radiograph import Limits
from solo.errors import MalformedError, TruncatedError
from tests.support.dicom import dicom_file
from tests.support.encapsulated import EXACT, encapsulated_file
from tests.support.films import chest

LIMITS = Limits(max_pixels=100_000)
TWELVE: dict[str, Any] = {"BitsStored": 12, "HighBit": 11}
FILM = chest()
EXPECTED = decode(dicom_file(FILM, **TWELVE), LIMITS).pixels
SYNTAXES = [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless]
PIXEL_DATA = b"\xe0\x7f\x10\x00"
NOISE = np.random.default_rng(1).bytes(600)
PADDING = struct.pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, 8) + bytes(8)
TRAILING = {
    "a line's end": b"\r\n",
    "a newline": b"\n",
    "a boundary": b"\r\n--a1b2c3d4e5f6--\r\n",
    "noise": NOISE,
    "ones": b"\xff" * 8,
    "a longer run of ones": b"\xff" * 1000,
    "zeros and noise": bytes(200) + NOISE,
    "an item": b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
    "a cut header": PADDING[:7],
    "a cut value": PADDING[:15],
    "a cut sequence": struct.pack("<HH2sHI", 0xFFFA, 0xFFFA, b"SQ", 0, 0xFFFFFFFF) + NOISE[:30],
    "half a nest": struct.pack("<HH2sHII", 0xFFFA, 0xFFFA, b"SQ", 0, 0xFFFFFFFF, 0xE000FFFE) * 500,
    "the file again": dicom_file(FILM // 2, **TWELVE),
    "the pixels again": PIXEL_DATA + b"OW\0\0" + struct.pack("<I", 8400) + bytes(8400),
    "many elements": struct.pack("<HH2sH", 0xFFFC, 0xFFFB, b"LO", 0) * 250_000,
}


@pytest.mark.parametrize("name", TRAILING)
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_what_follows_whole_pixels_refuses_nothing(syntax: UID, name: str) -> None:
    data = dicom_file(FILM, syntax=syntax, **TWELVE) + TRAILING[name]
    found = decode(data, LIMITS)
    assert np.array_equal(found.pixels, EXPECTED)
    assert found.info.grey == "percentiles"


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_elements_after_the_pixels_are_read_and_change_none_before(syntax: UID) -> None:
    late = ("PhotometricInterpretation", "Rows")
    data = dicom_file(FILM, syntax=syntax, PhotometricInterpretation="MONOCHROME1", **TWELVE)
    inverted = decode(data, LIMITS).pixels
    little = syntax != ExplicitVRBigEndian
    head = struct.pack("<HH" if little else ">HH", 0x0028, 0x0004)
    vr = struct.pack("<I", 12) if syntax == ImplicitVRLittleEndian else (
        b"CS" + struct.pack("<H" if little else ">H", 12)
    )  # fmt: skip
    for value in (b"MONOCHROME1 ", b"MONOCHROME2 "):
        first_counts = decode(data + head + vr + value, LIMITS).pixels
        assert np.array_equal(first_counts, inverted)
    if syntax != RLELossless:
        without = dicom_file(FILM, syntax=syntax, without=late[:1], **TWELVE)
        assert np.array_equal(decode(without, LIMITS).pixels, EXPECTED)
        late_tag = without + head + vr + b"MONOCHROME1 " + NOISE
        assert np.array_equal(decode(late_tag, LIMITS).pixels, inverted)


def test_a_deflated_data_set_may_be_wrapped_or_plain_and_has_to_be_whole() -> None:
    plain = dicom_file(FILM, **TWELVE)
    late = plain[plain.index(b"\x08\0\x16\0") :] + PADDING
    data = dicom_file(FILM, syntax=DeflatedExplicitVRLittleEndian, **TWELVE)
    meta = data[: data.index(b"2.1.99") + 6]
    for body in (zlib.compress(late), deflate(late), late, deflate(late) + b"\r\n", late + NOISE):
        assert np.array_equal(decode(meta + body, LIMITS).pixels, EXPECTED)
    for cut in (1, 2, 60, 500):
        with pytest.raises(TruncatedError, match="no end"):
            decode(meta + deflate(late)[:-cut], LIMITS)
    for damaged in (late[:-1], late + b"\r\n", late + NOISE):
        with pytest.raises(TruncatedError):
            decode(meta + deflate(damaged), LIMITS)


def deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def native(film: Any, excess: bytes, **elements: Any) -> bytes:
    """A native film whose pixel data element is longer than its pixels."""
    data = dicom_file(film, **elements)
    at = data.index(PIXEL_DATA) + 8
    pixels: bytes = film.tobytes() + excess
    return data[:at] + struct.pack("<I", len(pixels)) + pixels


def in_items(film: Any, excess: bytes, **elements: Any) -> bytes:
    frame = film.tobytes() + excess
    return encapsulated_file([frame], EncapsulatedUncompressed, film, **elements)


def deflated(film: Any, excess: bytes, **elements: Any) -> bytes:
    return encapsulated_file(
        [deflate(film.tobytes() + excess)], DeflatedImageFrame, film, **elements
    )


ROW, COLUMN = 60 * 2, 70 * 2
EXCESS = [b"\1\0", b"\0\0\0\1", bytes(60), NOISE[:119], NOISE[:ROW], NOISE[: 3 * ROW],
          NOISE[: 4 * ROW], bytes(1000), bytes(4096), bytes(20_001)]  # fmt: skip
WRONG = [NOISE[:COLUMN], bytes(COLUMN), bytes(10 * COLUMN), NOISE[: ROW + 2], NOISE[: 2 * ROW - 6],
         bytes(8400), bytes(2 * 8400), NOISE * 14, (NOISE * 20)[: 71 * ROW]]  # fmt: skip


@pytest.mark.parametrize("excess", EXCESS, ids=len)
@pytest.mark.parametrize("write", [native, in_items])
def test_excess_padding_is_passed_over(write: Any, excess: bytes) -> None:
    assert np.array_equal(decode(write(FILM, excess, **TWELVE), LIMITS).pixels, EXPECTED)


@pytest.mark.parametrize("excess", WRONG, ids=len)
@pytest.mark.parametrize("write", [native, in_items, deflated])
def test_excess_that_may_be_of_wider_rows_is_refused(write: Any, excess: bytes) -> None:
    with pytest.raises(MalformedError, match="more than the 8,400"):
        decode(write(FILM, excess, **TWELVE), LIMITS)


@pytest.mark.parametrize(
    "header",
    [
        {"Columns": 59}, {"Columns": 30}, {"Columns": 1}, {"Rows": 35, "Columns": 30},
        {"Rows": 30, "Columns": 70}, {"Rows": 35}, {"Rows": 20},
        {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7},
        {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "Rows": 60},
        {"Rows": 33, "Columns": 41},
    ],
)  # fmt: skip
def test_a_header_of_fewer_pixels_shears_none(header: dict[str, Any]) -> None:
    with pytest.raises(MalformedError, match="more than the"):
        decode(dicom_file(FILM, **{**TWELVE, **header}), LIMITS)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("write", [native, in_items, deflated])
@pytest.mark.parametrize("true", [(152, 135), (150, 132), (150, 136), (144, 150), (164, 118)])
def test_excess_that_would_be_padding_shears_none(
    true: tuple[int, int], write: Any, zeros: bool
) -> None:
    film = chest(*true).ravel()
    if zeros:
        film[160 * 120 :] = 0
    noisy = film + np.random.default_rng(1).integers(0, 20, film.shape).astype(np.uint16)
    cells, excess = noisy[: 160 * 120].reshape(160, 120), noisy[160 * 120 :].tobytes()
    with pytest.raises(MalformedError, match=r"more than the|continue each other"):
        decode(write(cells, excess, **TWELVE), LIMITS)


def test_a_film_of_bands_with_padding_is_not_taken_for_a_sheared_one() -> None:
    bands = np.repeat(np.arange(0, 4096, 32, dtype=np.uint16)[:, None], 60, axis=1)
    for film in (bands, bands.T.copy(), np.full((70, 60), 7, np.uint16)):
        found = decode(native(film, bytes(2 * film.shape[1] + 6), **TWELVE), LIMITS)
        assert np.array_equal(found.pixels, decode(dicom_file(film, **TWELVE), LIMITS).pixels)


@pytest.mark.parametrize("excess", [bytes(2), NOISE[:ROW], NOISE[:20]])
def test_a_first_pixel_like_a_codestream_is_a_pixel(excess: bytes) -> None:
    film = FILM.copy()
    film[0, 0] = 0x0AFF
    found = decode(native(film, excess, **TWELVE), LIMITS)
    assert np.array_equal(found.pixels, decode(dicom_file(film, **TWELVE), LIMITS).pixels)


@pytest.mark.parametrize("samples", [2, 3, 4, 6])
def test_several_samples_are_not_taken_for_one(samples: int) -> None:
    grey = (FILM // 16).astype(np.uint8)[:41, :37]
    with pytest.raises(MalformedError, match="other columns or samples"):
        decode(native(grey, grey.tobytes() * (samples - 1)), LIMITS)


@pytest.mark.parametrize(("excess", "told"), [(2, True), (6, True), (4, False), (120, False)])
def test_padding_of_each_frame_is_not_taken_for_padding_of_the_last(
    excess: int, told: bool
) -> None:
    data = native(np.stack([FILM, FILM[::-1]]), bytes(excess), **TWELVE)
    if told:
        assert np.array_equal(decode(data, LIMITS).pixels, EXPECTED)
    else:
        with pytest.raises(MalformedError, match="padding after each frame"):
            decode(data, LIMITS)


def test_the_last_padding_byte_may_be_missing() -> None:
    grey = (FILM // 16).astype(np.uint8)[:69, :59]
    data = dicom_file(grey)
    assert data.endswith(b"\0")
    assert np.array_equal(decode(data[:-1], LIMITS).pixels, grey)
    with pytest.raises(TruncatedError, match="have 4,070 bytes"):
        decode(data[:-2], LIMITS)


def rle(film: Any, tails: tuple[bytes, bytes], header: Any = FILM) -> bytes:
    """RLE of 16 bits, a tail behind each segment."""
    planes = [(film >> 8).astype(np.uint8).tobytes(), film.astype(np.uint8).tobytes()]
    segments = [pack(plane) + tail for plane, tail in zip(planes, tails, strict=True)]
    offsets = struct.pack("<16L", 2, 64, 64 + len(segments[0]), *[0] * 13)
    return encapsulated_file([offsets + b"".join(segments)], RLELossless, header, **TWELVE)


def pack(plane: bytes) -> bytes:
    rows = [plane[at : at + 60] for at in range(0, len(plane), 60)]
    return b"".join(bytes([len(row) - 1]) + row for row in rows)


@pytest.mark.parametrize("tail", [b"", b"\0", bytes(512), b"\2abc", b"\0a", b"\x81\0" * 20,
                                  b"\x80\x80", b"\0a\0b\0c"])  # fmt: skip
@pytest.mark.parametrize("place", [0, 1])
def test_rle_segments_may_decode_to_some_bytes_too_many(place: int, tail: bytes) -> None:
    tails = (tail, b"") if place == 0 else (b"", tail)
    assert np.array_equal(decode(rle(FILM, tails), LIMITS).pixels, EXPECTED)


@pytest.mark.parametrize("tail", [b"\x81\7" * 40, b"\xbb\1", b"\3abcd", bytes(140)])
def test_rle_segments_of_a_larger_image_are_refused(tail: bytes) -> None:
    with pytest.raises(MalformedError, match="more than"):
        decode(rle(FILM, (tail, b"")), LIMITS)


def test_deflated_frames_have_no_excess_but_zeros_and_an_end() -> None:
    for excess in (b"\0", bytes(2), b"\1\2\3", bytes(1000)):
        assert np.array_equal(decode(deflated(FILM, excess, **TWELVE), LIMITS).pixels, EXPECTED)
    for excess in (NOISE[:4], NOISE[:ROW], bytes(8400)):
        with pytest.raises(MalformedError, match="more than the 8,400"):
            decode(deflated(FILM, excess, **TWELVE), LIMITS)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    wrapped = encapsulated_file([zlib.compress(FILM.tobytes())], DeflatedImageFrame, FILM, **TWELVE)
    assert np.array_equal(decode(wrapped, LIMITS).pixels, EXPECTED)
    endless = packer.compress(FILM.tobytes()) + packer.flush(zlib.Z_SYNC_FLUSH)
    with pytest.raises(TruncatedError, match="the deflated frame has no end"):
        decode(encapsulated_file([endless], DeflatedImageFrame, FILM, **TWELVE), LIMITS)


def test_rle_segments_that_end_early_are_truncated() -> None:
    with pytest.raises(TruncatedError, match="have 4,141 bytes"):
        decode(rle(FILM[:-1], (b"\0a", b"")), LIMITS)


def test_frames_in_items_are_not_whole_if_one_is_short() -> None:
    for syntax in (EncapsulatedUncompressed, DeflatedImageFrame):
        frame = bytes(EXACT[syntax](FILM[:-1]))
        with pytest.raises(TruncatedError, match="need 8,400"):
            decode(encapsulated_file([frame], syntax, FILM, **TWELVE), LIMITS)
