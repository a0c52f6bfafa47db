from __future__ import annotations

import tracemalloc
import zlib

import cv2
import numpy as np
import pytest

from solo.contract.greyscale import Grey, as_grey
from solo.decoding.decode import decode
from solo.decoding.png_chunks import pixel_chunks
from solo.decoding.radiograph import Limits
from solo.errors import (
    EmptyError,
    ImageTooLargeError,
    InvalidParameterError,
    MalformedError,
    TruncatedError,
    UnsupportedEncodingError,
)
from tests.support.films import chest, flat, jpeg, png, png_chunk, png_header_only

LIMITS = Limits(max_pixels=100_000)
GREY = (chest() // 16).astype(np.uint8)


def test_eight_bits_are_grey_as_stored() -> None:
    found = decode(png(GREY), LIMITS)
    assert np.array_equal(found.pixels, GREY)
    assert (found.info.grey, found.info.kind, found.info.frame, found.info.pixel_spacing) == (
        "as_stored",
        "png",
        0,
        None,
    )


def test_sixteen_bits_are_stretched_between_percentiles() -> None:
    film = np.arange(1000, dtype=np.uint16).reshape(10, 100) + 300
    found = decode(png(film), LIMITS)
    assert found.info.grey == "percentiles"
    assert found.pixels.dtype == np.uint16
    values = found.pixels.ravel()
    assert (values[4], values[994]) == (0, 65535)
    assert values[5] > 0
    assert values[993] < 65535


def test_equal_channels_and_alpha_make_no_difference() -> None:
    for code in (cv2.COLOR_GRAY2BGR, cv2.COLOR_GRAY2BGRA):
        assert np.array_equal(decode(png(as_grey(cv2.cvtColor(GREY, code))), LIMITS).pixels, GREY)
    clear = as_grey(cv2.cvtColor(GREY, cv2.COLOR_GRAY2BGRA))
    clear[:, :, 3] = 0
    assert np.array_equal(decode(png(clear), LIMITS).pixels, GREY)
    deep = as_grey(cv2.cvtColor(chest(), cv2.COLOR_GRAY2BGR))
    assert np.array_equal(decode(png(deep), LIMITS).pixels, decode(png(chest()), LIMITS).pixels)


def test_a_palette_is_looked_up() -> None:
    header = b"\0\0\0\x02\0\0\0\x01\x08\x03\0\0\0"
    palette = bytes([10, 10, 10, 200, 200, 200])
    pixels = cv2.imencode(".png", np.array([[1, 0]], np.uint8))[1].tobytes()
    start = pixels.index(b"IDAT") - 4
    data = pixels[:8] + png_chunk(b"IHDR", header) + png_chunk(b"PLTE", palette) + pixels[start:]
    assert decode(data, LIMITS).pixels.tolist() == [[200, 10]]


def test_jpeg_is_read_and_its_orientation_is_not_applied() -> None:
    plain = jpeg(GREY)
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = plain[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + plain[2:]
    found = decode(turned, LIMITS)
    assert found.info.kind == "jpeg"
    assert found.pixels.shape == GREY.shape
    assert np.array_equal(found.pixels, decode(plain, LIMITS).pixels)
    assert np.abs(found.pixels.astype(int) - GREY).mean() < 3


@pytest.mark.parametrize("encode", [png, jpeg])
@pytest.mark.parametrize("shape", [(1, 1), (40, 600), (1, 3000), (3000, 1)])
def test_extreme_shapes_are_read(encode: object, shape: tuple[int, int]) -> None:
    assert callable(encode)
    assert decode(encode(flat(77, *shape)), LIMITS).pixels.tolist() == flat(77, *shape).tolist()


@pytest.mark.parametrize("encode", [png, jpeg])
def test_a_file_cut_anywhere_is_refused_as_malformed(encode: object) -> None:
    assert callable(encode)
    data = encode(GREY)
    for length in range(3, len(data) - 12, 13):
        with pytest.raises(MalformedError):
            decode(data[:length], LIMITS)
    with pytest.raises(TruncatedError):
        decode(data[: len(data) // 2], LIMITS)


def test_a_png_with_a_damaged_row_is_refused() -> None:
    data = bytearray(png(GREY))
    data[len(data) // 2] ^= 0xFF
    with pytest.raises(MalformedError, match="damaged"):
        decode(bytes(data), LIMITS)


def test_whole_pixels_need_no_end_chunk() -> None:
    data = png(GREY)
    assert np.array_equal(decode(data[:-12], LIMITS).pixels, GREY)
    stream = data[data.index(b"IDAT") + 4 : -16]
    for less in (stream[:-4], stream[:-1], b""):
        with pytest.raises(TruncatedError, match="no end"):
            decode(data[:33] + png_chunk(b"IDAT", less), LIMITS)
        with pytest.raises(MalformedError, match="damaged"):
            decode(data[:33] + png_chunk(b"IDAT", less) + png_chunk(b"IEND", b""), LIMITS)
    short = png_chunk(b"IDAT", zlib.compress(zlib.decompress(stream)[:-1]))
    with pytest.raises(MalformedError, match="damaged"):
        decode(data[:33] + short, LIMITS)


@pytest.mark.parametrize("level", [0, 9])
@pytest.mark.parametrize("film", [GREY, chest()], ids=["8", "16"])
def test_a_png_is_read_however_its_rows_are_packed(film: Grey, level: int) -> None:
    data = png(film)
    rows = zlib.decompress(data[data.index(b"IDAT") + 4 : -16])
    for left in (b"", b"some more"):
        packed = zlib.compress(rows + left, level)
        parts = [png_chunk(b"IDAT", packed[at : at + 999]) for at in range(0, len(packed), 999)]
        again = decode(data[:33] + b"".join(parts) + data[-12:], LIMITS)
        assert np.array_equal(again.pixels, decode(data, LIMITS).pixels)


@pytest.mark.parametrize("length", [2**31 - 1, 2**32 - 6])
def test_a_chunk_that_promises_gigabytes_is_refused_before_decoding(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytearray(png(GREY))
    start = data.index(b"IDAT")
    data[start - 4 : start] = length.to_bytes(4, "big")
    monkeypatch.delattr(cv2, "imdecode")  # OpenCV would allocate them
    with pytest.raises(TruncatedError, match="within a chunk"):
        decode(bytes(data), LIMITS)


def test_chunks_are_counted() -> None:
    data = png(GREY)
    with pytest.raises(MalformedError, match="more than 100,000 chunks"):
        decode(data[:33] + png_chunk(b"tEXt", b"") * 100_001 + data[33:], LIMITS)


def test_what_makes_no_pixels_is_not_read() -> None:
    data = png(GREY)
    start = data.index(b"IDAT") - 4
    orientation = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    extra = png_chunk(b"eXIf", orientation) + png_chunk(b"tEXt", b"Name\0Planted")
    found = decode(data[:start] + extra + data[start:], LIMITS)
    assert np.array_equal(found.pixels, GREY)
    assert b"Planted" not in pixel_chunks(data[:start] + extra + data[start:])


@pytest.mark.parametrize("most", [2**28, 2**10])
def test_the_rows_of_a_png_are_in_memory_twice_at_most(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr("solo.decoding.png_chunks._MOST_STORED_BYTES", most)
    chance = np.random.default_rng(0)
    film = chance.integers(0, 4096, (400, 400, 4), dtype=np.uint16)
    data = png(film)
    tracemalloc.start()
    chunks = pixel_chunks(data)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most_bytes < 2.5 * film.nbytes
    found = cv2.imdecode(np.frombuffer(chunks, np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(found, film)
    assert (len(chunks) < 0.9 * film.nbytes) == (most < film.nbytes)


def test_nothing_of_a_png_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    data = png(GREY)
    start = data.index(b"IDAT") - 4
    profile = b"\0\0\x01\x90" + bytes(128) + np.random.default_rng(0).bytes(268)
    named = png_chunk(b"iCCP", b"Planted\0\0" + zlib.compress(profile))
    file = data[:start] + named + data[start:]
    cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    assert "profile 'Planted'" in capfd.readouterr().err  # what libpng says of the file as it is
    assert np.array_equal(decode(file, LIMITS).pixels, GREY)
    assert capfd.readouterr().err == ""


def test_promises_of_too_many_pixels_are_refused_before_decoding() -> None:
    with pytest.raises(ImageTooLargeError, match=r"40000 x 40000 = 1,600,000,000"):
        decode(png_header_only(40_000, 40_000), LIMITS)
    with pytest.raises(MalformedError, match="0 x 5"):
        decode(png_header_only(0, 5), LIMITS)
    data = bytearray(jpeg(GREY))
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = b"\xff\xff\xff\xff"
    with pytest.raises(ImageTooLargeError, match="65535 x 65535"):
        decode(bytes(data), LIMITS)


@pytest.mark.parametrize(("marker", "precision"), [(0xC3, 8), (0xC9, 8), (0xC1, 12)])
def test_other_jpeg_processes_are_named(marker: int, precision: int) -> None:
    data = bytearray(jpeg(GREY))
    start = data.index(b"\xff\xc0")
    data[start + 1], data[start + 4] = marker, precision
    with pytest.raises(UnsupportedEncodingError, match=f"SOF{marker - 0xC0} with {precision}"):
        decode(bytes(data), LIMITS)


def test_other_bytes_and_frames_are_refused() -> None:
    with pytest.raises(EmptyError):
        decode(b"", LIMITS)
    with pytest.raises(MalformedError, match="none of DICOM, PNG, JPEG and TIFF"):
        decode(b"hello", LIMITS)
    for encode in (png, jpeg):
        with pytest.raises(InvalidParameterError, match="frame is 1"):
            decode(encode(GREY), LIMITS, frame=1)
