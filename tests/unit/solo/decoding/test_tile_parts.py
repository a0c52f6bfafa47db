"""JPEG 2000 codestreams cut between two of their parts."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import pytest
from pydicom.uid import HTJ2KLossless

from solo.decoding.decode import decode
from solo.decoding.dicom import codestreams as codecs
from solo.decoding.radiograph import Limits
from solo.errors import MalformedError, TruncatedError
from tests.support.dicom import dicom_file
from tests.support.encapsulated import encapsulated_file
from tests.support.films import chest

LIMITS = Limits(max_pixels=100_000)
FILM = chest()


@pytest.fixture
def no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is refused here is refused before a decoder is asked."""
    monkeypatch.setattr(codecs, "imagecodecs", None)


def described(frame: bytes) -> bytes:
    return encapsulated_file([frame], HTJ2KLossless, FILM, BitsStored=12, HighBit=11)


def test_a_missing_tile_or_tile_part_is_refused(no_decoder: None) -> None:
    frame = bytes(imagecodecs.htj2k_encode(FILM, reversible=True, tile=(32, 32)))
    assert frame.count(b"\xff\x90\x00\x0a") == 6
    last = frame.rindex(b"\xff\x90\x00\x0a")
    with pytest.raises(TruncatedError, match="lacks a tile-part"):
        decode(described(frame[:last] + frame[-2:]), LIMITS)
    more = frame[: last + 11] + b"\x02" + frame[last + 12 :]  # the last tile says that it has two
    with pytest.raises(TruncatedError, match="lacks a tile-part"):
        decode(described(more), LIMITS)


def in_tile_parts(*, told: bool) -> tuple[bytes, list[tuple[int, int]]]:
    """A codestream of 36 tile-parts and where each lies; told: the last of a tile says how many."""
    frame = bytearray(
        imagecodecs.htj2k_encode(
            FILM, reversible=True, tile=(32, 32), tilepart=imagecodecs.HTJ2K.TILEPART.RESOLUTIONS
        )
    )
    parts, offset = [], frame.index(b"\xff\x90\x00\x0a")
    while frame[offset : offset + 2] == b"\xff\x90":
        (length,) = struct.unpack_from(">I", frame, offset + 6)
        parts.append((offset, offset + length))
        frame[offset + 11] *= told
        offset += length
    assert len(parts) == 36
    return bytes(frame), parts


@pytest.mark.parametrize("told", [True, False])
def test_a_tile_part_missing_within_is_refused(told: bool, no_decoder: None) -> None:
    frame, parts = in_tile_parts(told=told)
    for start, end in (parts[0], parts[9]):
        with pytest.raises(TruncatedError, match="lacks a tile-part"):
            decode(described(frame[:start] + frame[end:]), LIMITS)


@pytest.mark.parametrize("form", [(0x40, ">I"), (0x50, ">BI"), (0x60, ">HI"), (0x20, ">HH")])
def test_a_list_of_tile_parts_tells_of_a_last_one_that_is_missing(form: tuple[int, str]) -> None:
    frame, parts = in_tile_parts(told=False)
    lengths = [end - start for start, end in parts]
    entries = [(length,) if form[1] == ">I" else (0, length) for length in lengths]
    listed = bytes([0, form[0]]) + b"".join(struct.pack(form[1], *entry) for entry in entries)
    start, (last, end) = parts[0][0], parts[-1]
    table = b"\xff\x55" + struct.pack(">H", len(listed) + 2) + listed
    whole = frame[:start] + table + frame[start:]
    assert decode(described(whole), LIMITS).pixels.shape == FILM.shape
    cut = frame[:start] + table + frame[start:last] + frame[end:]
    with pytest.raises(TruncatedError, match="lacks a tile-part"):
        decode(described(cut), LIMITS)


def test_what_is_told_and_there_needs_no_end() -> None:
    frame = bytes(imagecodecs.jpeg2k_encode(FILM, level=0, codecformat="j2k"))[:-2]
    expected = decode(described(frame + b"\xff\xd9"), LIMITS).pixels
    assert frame[-1] != 0
    for filling in (b"", b"\0\0"):
        assert np.array_equal(decode(described(frame + filling), LIMITS).pixels, expected)
    for cut in (1, 2, 100):
        with pytest.raises(TruncatedError, match="no end"):
            decode(described(frame[:-cut]), LIMITS)
    untold = bytearray(frame)
    untold[frame.index(b"\xff\x90\0\x0a") + 11] = 0
    with pytest.raises(TruncatedError, match="no end"):
        decode(described(bytes(untold)), LIMITS)
    parts, within = in_tile_parts(told=True)
    with pytest.raises(TruncatedError):
        decode(described(parts[: within[-1][0]]), LIMITS)


def test_a_tile_part_beyond_the_image_is_refused(no_decoder: None) -> None:
    frame, parts = in_tile_parts(told=True)
    beyond = frame[: parts[-1][0] + 4] + b"\0\x06" + frame[parts[-1][0] + 6 :]
    with pytest.raises(MalformedError, match="a tile beyond its image"):
        decode(described(beyond), LIMITS)


def test_tiles_are_put_together() -> None:
    frame = bytes(imagecodecs.htj2k_encode(FILM, reversible=True, tile=(32, 32)))
    expected = decode(dicom_file(FILM, BitsStored=12, HighBit=11), LIMITS).pixels
    assert np.array_equal(decode(described(frame), LIMITS).pixels, expected)
