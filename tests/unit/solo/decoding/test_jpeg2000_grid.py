"""Precincts and code blocks of JPEG 2000, counted before a decoder is asked."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import pytest

from solo.decoding.codecs.jpeg2000_grid import check_grid
from solo.decoding.codecs.jpeg2000_header import read_jpeg2000_header
from solo.errors import MalformedError
from tests.support.bombs import jpeg_2000
from tests.support.films import chest


def image(height: int, width: int, tile: int, components: int = 1) -> bytes:
    return struct.pack(">2x8IH", width, height, 0, 0, tile, tile, 0, 0, components)


def style(levels: int, layers: int = 1, block: int = 4, precincts: bytes = b"") -> bytes:
    return (
        struct.pack(">BBHB", bool(precincts), 0, layers, 0)
        + bytes([levels, block, block, 0, 1])
        + precincts
    )


FILMS = {
    "50 megapixels": (image(7071, 7071, 7071), style(5)),
    "50 megapixels of 3 colours": (image(7071, 7071, 7071, 3), style(5)),
    "precincts of 128 and 256": (image(7071, 7071, 7071), style(5, 20, 4, b"\x77" + b"\x88" * 5)),
    "4,096 tiles": (image(7071, 7071, 111, 3), style(5, 20)),
    "blocks of 32": (image(7071, 7071, 7071), style(5, 12, 3)),
    "many layers": (image(7071, 7071, 7071), style(6, 65_535)),
}


@pytest.mark.parametrize("name", FILMS)
def test_films_are_far_from_the_limits(name: str) -> None:
    size, default = FILMS[name]
    check_grid(size, [default], [])


@pytest.mark.parametrize("place", ["COD", "tile", "COC", "tile's COC"])
def test_fine_precincts_are_found_wherever_they_are_declared(place: str) -> None:
    with pytest.raises(MalformedError, match="precincts"):
        read_jpeg2000_header(jpeg_2000(2000, 2000, fine=place))


@pytest.mark.parametrize(
    "default",
    [
        style(0, 65_535, 4, b"\x44"),
        style(0, 1, 0),
        style(33),
        style(5, 1, 4, b"\x77"),
    ],
    ids=["layers", "code blocks", "levels", "a precinct size missing"],
)
def test_other_excess_is_refused(default: bytes) -> None:
    with pytest.raises(MalformedError, match="JPEG 2000"):
        check_grid(image(7000, 7000, 7000), [default], [])


@pytest.mark.parametrize("marker", [b"\xff\x52", b"\xff\x53"], ids=["COD", "COC"])
@pytest.mark.parametrize("contents", [b"", b"\0", b"\0\0\0\1\0"])
def test_a_coding_style_that_is_cut_short_is_damage(marker: bytes, contents: bytes) -> None:
    frame = bytes(imagecodecs.jpeg2k_encode(chest(), level=0, codecformat="j2k"))
    at = frame.index(b"\xff\x52")
    segment = marker + struct.pack(">H", len(contents) + 2) + contents
    with pytest.raises(MalformedError, match="header is damaged"):
        read_jpeg2000_header(frame[:at] + frame[at : at + 14] + segment + frame[at + 14 :])


def test_what_an_encoder_writes_is_counted_as_it_is() -> None:
    frame = bytes(imagecodecs.jpeg2k_encode(chest(), level=0, codecformat="j2k"))
    assert np.array_equal(
        imagecodecs.jpeg2k_decode(read_jpeg2000_header(frame).codestream), chest()
    )
