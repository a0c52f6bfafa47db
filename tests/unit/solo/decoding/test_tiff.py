from __future__ import annotations

import struct
import zlib
from typing import Any, Literal

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest

from app.errors import status_of
from solo.decoding import tiff
from solo.decoding.decode import decode
from solo.decoding.radiograph import Limits
from solo.errors import (
    ImageTooLargeError,
    MalformedError,
    SoloError,
    TruncatedError,
    UnsupportedEncodingError,
)
from tests.support.films import chest, png
from tests.support.tiff import LONG, SHORT, by_hand

LIMITS = Limits(max_pixels=100_000)
DEEP = chest()
GREY = (chest() // 16).astype(np.uint8)


FORMS: list[dict[str, Any]] = [
    {},
    {"compression": "lzw"},
    {"compression": "lzw", "predictor": 2, "rowsperstrip": 8},
    {"compression": "deflate"},
    {"compression": "packbits"},
    {"rowsperstrip": 7},
    {"tile": (16, 32)},
    {"tile": (32, 16), "compression": "deflate"},
    {"compression": "deflate", "predictor": 2, "rowsperstrip": 9},
    {"compression": "deflate", "predictor": 2, "tile": (16, 48), "byteorder": ">"},
    {"compression": "deflate", "rowsperstrip": 1, "bigtiff": True},
]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_form_gives_the_grey_of_a_png(form: dict[str, Any]) -> None:
    for film, recipe in ((GREY, "as_stored"), (DEEP, "percentiles")):
        found = decode(bytes(imagecodecs.tiff_encode(film, **form)), LIMITS)
        assert np.array_equal(found.pixels, decode(png(film), LIMITS).pixels)
        assert (found.info.kind, found.info.encoding, found.info.grey) == ("tiff", "tiff", recipe)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("film", [GREY, DEEP], ids=["8", "16"])
def test_either_byte_order_is_read(order: Literal["<", ">"], film: npt.NDArray[Any]) -> None:
    found = decode(by_hand(film, order=order), LIMITS)
    assert np.array_equal(found.pixels, decode(png(film), LIMITS).pixels)


@pytest.mark.parametrize("form", [form for form in FORMS if "deflate" in form.values()], ids=str)
def test_deflated_colours_are_those_of_libtiff(form: dict[str, Any]) -> None:
    colour = np.dstack([GREY, GREY[::-1], GREY[:, ::-1]])
    data = bytes(imagecodecs.tiff_encode(colour, photometric="rgb", **form))
    assert np.array_equal(imagecodecs.tiff_decode(data), colour)
    assert np.array_equal(decode(data, LIMITS).pixels, decode(by_hand(colour), LIMITS).pixels)


def test_a_stream_longer_than_its_strip_is_refused() -> None:
    """libtiff leaves the end of such a strip as the memory was, and reports success."""
    flat = np.full((40, 36), 1000, np.uint16)
    longer = zlib.compress(np.full((49, 48), 1000, np.uint16).tobytes())
    untold = np.full_like(flat, 4321)
    imagecodecs.tiff_decode(by_hand(flat, stored=longer, t259=8), out=untold)
    assert untold[-1, -1] == 4321
    tiled: dict[str, Any] = {"t259": 8, "t322": 48, "t323": 48, "t325": len(longer)}
    place = len(by_hand(flat, stored=longer, t324=0, **tiled)) - len(longer)
    forms: list[dict[str, Any]] = [{"t259": 8}, {"t259": 32946}, {"t324": place, **tiled}]
    for tags in forms:
        with pytest.raises(MalformedError, match="damaged"):
            decode(by_hand(flat, stored=longer, **tags), LIMITS)


@pytest.mark.parametrize(("number", "codec"), [(5, "lzw"), (32773, "packbits")])
def test_one_byte_more_or_less_is_noticed(number: int, codec: str) -> None:
    encode = getattr(imagecodecs, f"{codec}_encode")
    stored = GREY.tobytes()
    whole = by_hand(GREY, stored=bytes(encode(stored)), t259=number)
    assert np.array_equal(decode(whole, LIMITS).pixels, GREY)
    for other in (stored + b"\1", stored[:-1]):
        with pytest.raises(MalformedError, match="damaged"):
            decode(by_hand(GREY, stored=bytes(encode(other)), t259=number), LIMITS)


def test_damaged_lzw_is_answered_alike_whatever_lies_in_memory() -> None:
    """imagecodecs' own decoder reads from a table that it has not written."""
    good = bytes(imagecodecs.lzw_encode(GREY.tobytes()))
    generator = np.random.default_rng(0)
    for _ in range(200):
        broken = bytearray(good)
        for place in generator.integers(len(good), size=2):
            broken[place] ^= int(generator.integers(1, 256))
        data = by_hand(GREY, stored=bytes(broken), t259=5)
        assert status(data) == status(data) != 413


def test_the_last_strip_may_have_the_rows_of_a_whole_one() -> None:
    rows = len(DEEP) - 10
    data = bytes(imagecodecs.tiff_encode(DEEP, compression="deflate", rowsperstrip=len(DEEP) // 2))
    height = data.index(struct.pack("<HHI", 257, SHORT, 1)) + 8
    shorter = data[:height] + struct.pack("<H", rows) + data[height + 2 :]
    found = decode(shorter, LIMITS)
    assert np.array_equal(found.pixels, decode(png(DEEP[:rows]), LIMITS).pixels)


def test_deflate_with_low_bits_first_is_read() -> None:
    stored = bytes(imagecodecs.bitorder_decode(zlib.compress(DEEP.tobytes())))
    data = by_hand(DEEP, stored=stored, t259=8, t266=2)
    assert np.array_equal(imagecodecs.tiff_decode(data), DEEP)
    assert np.array_equal(decode(data, LIMITS).pixels, decode(png(DEEP), LIMITS).pixels)


def test_white_is_zero_is_turned_round() -> None:
    found = decode(by_hand((255 - GREY).astype(np.uint8), t262=0), LIMITS)
    assert np.array_equal(found.pixels, GREY)
    deep = decode(by_hand((65535 - DEEP).astype(np.uint16), t262=0), LIMITS)
    assert np.array_equal(deep.pixels, decode(png(DEEP), LIMITS).pixels)


def test_colour_alpha_and_palettes_become_grey() -> None:
    row = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [90, 90, 90]]], np.uint8)
    assert decode(by_hand(row), LIMITS).pixels.tolist() == [[76, 150, 29, 90]]
    clear = np.concatenate([row, np.zeros((1, 4, 1), np.uint8)], axis=2)
    assert decode(by_hand(clear, t338=2), LIMITS).pixels.tolist() == [[76, 150, 29, 90]]
    grey_alpha = np.array([[[7, 0], [200, 255]]], np.uint8)
    assert decode(by_hand(grey_alpha, t262=1, t338=2), LIMITS).pixels.tolist() == [[7, 200]]
    ramp = tuple(257 * value for value in range(255, -1, -1))
    indices = np.array([[0, 1, 255]], np.uint8)
    assert decode(by_hand(indices, t262=3, t320=3 * ramp), LIMITS).pixels.tolist() == [
        [255, 254, 0]
    ]


def test_orientation_is_not_applied() -> None:
    assert np.array_equal(decode(by_hand(GREY, t274=6), LIMITS).pixels, GREY)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_a_file_cut_anywhere_is_refused(form: dict[str, Any]) -> None:
    for data in (bytes(imagecodecs.tiff_encode(DEEP, **form)), by_hand(DEEP)):
        for length in range(4, len(data) - 40, len(data) // 40):
            with pytest.raises(MalformedError):
                decode(data[:length], LIMITS)


def test_a_strip_that_is_shorter_than_its_rows_is_refused() -> None:
    data = by_hand(DEEP)
    with pytest.raises(TruncatedError, match="within its pixels"):
        decode(data[:-1], LIMITS)
    with pytest.raises(MalformedError, match="within its pixels"):
        decode(by_hand(DEEP, t279=8_399)[:-1], LIMITS)
    for compression in ("lzw", "deflate", "packbits"):
        data = bytes(imagecodecs.tiff_encode(DEEP, compression=compression))
        start = data.index(struct.pack("<HHI", 279, LONG, 1)) + 8
        (length,) = struct.unpack_from("<I", data, start)
        short = data[:start] + struct.pack("<I", length // 2) + data[start + 4 :]
        with pytest.raises(MalformedError, match="damaged"):
            decode(short, LIMITS)


@pytest.mark.parametrize(
    ("tags", "text"),
    [
        ({"t259": 6}, "compression 6"),
        ({"t259": 4}, "compression 4"),
        ({"t259": 50000}, "compression 50000"),
        ({"t258": (3,)}, "1 x 3 bits"),
        ({"t258": (64,)}, "1 x 64 bits"),
        ({"t258": (8, 16), "t277": 2}, "2 x 16 bits"),
        ({"t339": 3}, "sample format 3"),
        ({"t262": 5}, "photometric interpretation 5"),
        ({"t262": 6}, "photometric interpretation 6"),
        ({"t262": 2, "t277": 3, "t259": 7}, "interpretation 2 and compression jpeg"),
        ({"t277": 5}, "5 x 8 bits"),
        ({"t259": 8, "t317": 3}, "predictor 3"),
        ({"t317": 2}, "predictor 2 of 8 bits in compression none"),
        ({"t254": 1}, "thumbnails and masks"),
        ({"t254": 4}, "thumbnails and masks"),
    ],
)
def test_what_is_not_read_is_named(tags: dict[str, Any], text: str) -> None:
    with pytest.raises(UnsupportedEncodingError, match=text):
        decode(by_hand(GREY, **tags), LIMITS)


@pytest.fixture
def no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "imagecodecs", None)


@pytest.mark.parametrize(
    ("tags", "error", "text"),
    [
        ({"t256": 65_535, "t257": 65_535, "t278": 65_535}, ImageTooLargeError, "65535 x 65535"),
        ({"t257": 0}, MalformedError, "0 x 60"),
        ({"t278": 1}, MalformedError, "1 strips"),
        ({"t278": 0}, MalformedError, "tiles of 0"),
        ({"t273": 2**32 - 9}, TruncatedError, "within its pixels"),
        ({"t322": 60_000, "t323": 60_000, "t324": 8, "t325": 8}, MalformedError, "tiles of 60000"),
        ({"t322": 16, "t323": 16, "t324": 8, "t325": 8}, MalformedError, "needs 20"),
        ({"t322": 1, "t323": 2**24, "t324": 8, "t325": 8}, MalformedError, "tiles of 16777216"),
        ({"t273": 0}, MalformedError, "is missing"),
        ({"t284": 3}, MalformedError, "planar configuration 3"),
        ({"t259": 5, "t279": 0}, MalformedError, "is missing"),
    ],
)
def test_lies_reach_no_decoder(
    tags: dict[str, Any], error: type[SoloError], text: str, no_decoder: None
) -> None:
    with pytest.raises(error, match=text):
        decode(by_hand(GREY, **tags), LIMITS)


def test_a_tag_of_many_values_is_not_unpacked(no_decoder: None) -> None:
    data = by_hand(GREY)
    start = data.index(struct.pack("<HHI", 273, LONG, 1)) + 4
    with pytest.raises(MalformedError, match="4,294,967,295 values"):
        decode(data[:start] + b"\xff\xff\xff\xff" + data[start + 4 :], LIMITS)


@pytest.mark.parametrize("tag", [256, 258, 273])
def test_a_tag_without_values_is_refused(tag: int, no_decoder: None) -> None:
    data = by_hand(GREY)
    kind = SHORT if tag == 258 else LONG
    start = data.index(struct.pack("<HHI", tag, kind, 1)) + 4
    with pytest.raises(MalformedError, match=f"tag {tag} of the TIFF has 0 values"):
        decode(data[:start] + bytes(4) + data[start + 4 :], LIMITS)


def test_damage_anywhere_is_an_answer_and_never_a_crash() -> None:
    generator = np.random.default_rng(0)
    statuses = []
    for form in FORMS:
        data = bytes(imagecodecs.tiff_encode(GREY, **form))
        for _ in range(100):
            damaged = bytearray(data)
            for position in generator.integers(4, len(data), 3):
                damaged[position] = generator.integers(256)
            for position in generator.integers(len(data) - 150, len(data), 1):
                damaged[position] = generator.integers(256)
            statuses.append(status(bytes(damaged)))
    assert {200, 400} <= set(statuses) <= {200, 400, 413, 415}


def status(data: bytes) -> int:
    try:
        decode(data, LIMITS)
    except SoloError as error:
        return status_of(error)
    return 200


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_bigtiff_is_read_like_a_tiff(order: str) -> None:
    big = bytes(imagecodecs.tiff_encode(chest(), bigtiff=True, byteorder=order))
    plain = bytes(imagecodecs.tiff_encode(chest()))
    assert big[2:4].strip(b"\0") == b"+"
    assert np.array_equal(decode(big, LIMITS).pixels, decode(plain, LIMITS).pixels)
    for length in range(16, len(big), 997):
        with pytest.raises(MalformedError):
            decode(big[:length], LIMITS)
    word = struct.Struct(f"{order}Q")
    for offset in (2**63, 2**64 - 1, len(big)):
        with pytest.raises(TruncatedError):
            decode(big[:8] + word.pack(offset) + big[16:], LIMITS)


@pytest.mark.parametrize("bits", [1, 10, 12, 14])
def test_samples_in_more_bits_than_declared_are_refused(bits: int) -> None:
    film = GREY if bits == 1 else DEEP
    with pytest.raises(MalformedError, match="its 70 rows of"):
        decode(by_hand(film, t258=bits), LIMITS)


def test_a_size_that_contradicts_the_strip_is_refused() -> None:
    stored = GREY.tobytes()
    narrower, shorter = by_hand(GREY, t256=59), by_hand(GREY, t257=60, t278=60)
    half, more = by_hand(GREY, t279=2_100), by_hand(GREY, stored=stored + bytes(70))
    for data in (narrower, shorter, half, more):
        with pytest.raises(MalformedError, match="rows of"):
            decode(data, LIMITS)


def test_odd_sizes_of_a_strip_whose_pixels_are_there_are_read() -> None:
    stored = GREY.tobytes()
    for size in (4_199, 4_202, 1_000_000):
        data = by_hand(GREY, stored=stored + bytes(4), t279=size)
        assert np.array_equal(decode(data, LIMITS).pixels, GREY)


def sharing(compression: int, stored: bytes, strips: int, columns: int, tables: bytes) -> bytes:
    """A TIFF of 8 bits whose strips of a row all are the same bytes."""
    tags = {
        256: (LONG, "I", [columns]), 257: (LONG, "I", [strips]), 258: (SHORT, "H", [8]),
        259: (SHORT, "H", [compression]), 262: (SHORT, "H", [1]), 266: (SHORT, "H", [2]),
        273: (LONG, "I", [8] * strips), 278: (LONG, "I", [1]),
        279: (LONG, "I", [len(stored)] * strips), 347: (7, "B", list(tables)),
    }  # fmt: skip
    body, entries = stored + bytes(len(stored) % 2), b""
    for tag, (kind, form, values) in tags.items():
        value = struct.pack(f"<{len(values)}{form}", *values)
        place = value.ljust(4, b"\0") if len(value) <= 4 else struct.pack("<I", 8 + len(body))
        entries += struct.pack("<HHI", tag, kind, len(values)) + place
        body += value if len(value) > 4 else b""
    start = struct.pack("<4sI", b"II*\0", 8 + len(body))
    return start + body + struct.pack("<H", len(tags)) + entries + bytes(4)


SHARED = {
    "many": (8, zlib.compress(bytes(64)), 12_501, b"\0"),
    "LZW": (5, bytes(imagecodecs.lzw_encode(bytes(64))) + bytes(1_000_000), 12_500, b"\0"),
    "JPEG tables": (
        7,
        bytes(imagecodecs.jpeg8_encode(np.zeros((1, 64), np.uint8)))[:20] + b"\xff\xd9",
        12_500,
        b"\xff\xd8" + b"\xff\xfe\0\2" * 2_000,
    ),
}


@pytest.mark.parametrize("name", SHARED)
def test_strips_that_share_bytes_are_refused_at_once(name: str, no_decoder: None) -> None:
    compression, stored, strips, tables = SHARED[name]
    data = sharing(compression, stored, strips, 64, tables)
    with pytest.raises(MalformedError, match=r"at most 12,500|over each other|too many markers"):
        decode(data, Limits(50_000_000))
