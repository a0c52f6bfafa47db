"""Frames in fragments: items, offset tables, and their ends."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydicom.uid import (
    UID,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from solo.decoding.decode import decode
from solo.decoding.dicom.transfer_syntaxes import EncapsulatedUncompressed, JPEGXLLossless
from solo.decoding.radiograph import Limits
from solo.errors import InvalidParameterError, MalformedError, SoloError
from tests.support.dicom import dicom_file
from tests.support.encapsulated import EXACT, encapsulated_file, encoded_file
from tests.support.films import chest

LIMITS = Limits(max_pixels=100_000)
TWELVE: dict[str, Any] = {"BitsStored": 12, "HighBit": 11}
FILM = chest()
DELIMITER = b"\xfe\xff\xdd\xe0" + bytes(4)


def frames_of(syntax: UID) -> tuple[npt.NDArray[np.uint8], list[bytes | bytearray]]:
    film = np.random.default_rng(3).integers(0, 256, (3, 40, 30), np.uint8)
    return film, [EXACT[syntax](frame) for frame in film]


@pytest.mark.parametrize(
    "syntax", [JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, HTJ2KLossless, JPEGXLLossless]
)
@pytest.mark.parametrize("size", [None, 64, 100, 1000])
@pytest.mark.parametrize("table", [{}, {"offset_table": True}, {"extended": True}])
def test_frames_are_put_together_from_their_fragments(
    syntax: UID, size: int | None, table: dict[str, bool]
) -> None:
    film, frames = frames_of(syntax)
    data = encapsulated_file(frames, syntax, film, fragment_bytes=size, **table)
    for index, expected in enumerate(film):
        found = decode(data, LIMITS, frame=index)
        assert np.array_equal(found.pixels, expected)
        assert found.info.frame == index
    with pytest.raises(InvalidParameterError, match="frame is 3, but the file has 3"):
        decode(data, LIMITS, frame=3)


def test_one_frame_may_have_any_number_of_fragments() -> None:
    for syntax in (JPEGLosslessSV1, EncapsulatedUncompressed):
        data = encoded_file(FILM, syntax, EXACT[syntax], fragment_bytes=128, **TWELVE)
        assert np.array_equal(
            decode(data, LIMITS).pixels, decode(dicom_file(FILM, **TWELVE), LIMITS).pixels
        )


def test_a_wrong_table_is_not_asked_where_each_frame_is_a_fragment() -> None:
    film, frames = frames_of(JPEGLSLossless)
    data = encapsulated_file(frames, JPEGLSLossless, film, offset_table=True)
    start = data.index(b"\xfe\xff\x00\xe0\x0c\x00\x00\x00") + 8
    wrong = data[:start] + struct.pack("<3I", 0, 5, 7) + data[start + 12 :]
    assert np.array_equal(decode(wrong, LIMITS, frame=2).pixels, film[2])


@pytest.mark.parametrize("offsets", [(0, 4, 8), (0, 0, 0), (2**32 - 1,) * 3, (108, 0, 216)])
def test_a_table_that_points_nowhere_is_refused_where_it_is_needed(
    offsets: tuple[int, ...],
) -> None:
    for syntax in (JPEGLSLossless, EncapsulatedUncompressed):
        film, frames = frames_of(syntax)
        data = encapsulated_file(frames, syntax, film, offset_table=True, fragment_bytes=100)
        assert np.array_equal(decode(data, LIMITS, frame=2).pixels, film[2])
        start = data.index(b"\xfe\xff\x00\xe0\x0c\x00\x00\x00") + 8
        wrong = data[:start] + struct.pack("<3I", *offsets) + data[start + 12 :]
        if syntax == JPEGLSLossless:  # a codestream begins as often as there are frames
            assert np.array_equal(decode(wrong, LIMITS, frame=2).pixels, film[2])
        else:
            with pytest.raises(MalformedError, match="offset table"):
                decode(wrong, LIMITS, frame=2)


def test_an_extended_table_that_is_not_needed_may_be_damaged() -> None:
    film, frames = frames_of(JPEGLSLossless)
    long = bytes(8 * 1_000_000)
    data = encapsulated_file(frames, JPEGLSLossless, film, ExtendedOffsetTable=long)
    assert np.array_equal(decode(data, LIMITS, frame=1).pixels, film[1])


def test_fragments_that_cannot_be_told_apart_are_refused() -> None:
    film, frames = frames_of(EncapsulatedUncompressed)
    data = encapsulated_file(frames, EncapsulatedUncompressed, film, fragment_bytes=100)
    with pytest.raises(MalformedError, match="cannot be told apart into 3 frames"):
        decode(data, LIMITS)


FOLLOWING = {
    "no delimiter": b"",
    "a part of one": DELIMITER[:4],
    "a part of its tag": DELIMITER[:3],
    "zeros": bytes(8),
    "many zeros": bytes(5000),
    "another tag": b"\xfe\xff\x99\xe0" + bytes(4),
    "a delimiter of an item": b"\xfe\xff\x0d\xe0" + bytes(4),
    "a line's end": DELIMITER + b"\r\n",
    "only a line's end": b"\r\n",
    "another element": struct.pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, 4) + bytes(4),
    "a cut element": DELIMITER + struct.pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, 4) + bytes(2),
    "noise": np.random.default_rng(0).bytes(600),
    "ones": b"\xff" * 8,
}


@pytest.mark.parametrize("name", FOLLOWING)
@pytest.mark.parametrize("syntax", EXACT)
def test_what_follows_whole_items_refuses_nothing(syntax: UID, name: str) -> None:
    data = encoded_file(FILM, syntax, EXACT[syntax], **TWELVE)
    whole = decode(data, LIMITS).pixels
    ended = data[:-8] + FOLLOWING[name]
    assert np.array_equal(decode(ended, LIMITS).pixels, whole)
    at = data.index(b"\xe0\x7f\x10\x00") + 8
    defined = ended[:at] + struct.pack("<I", len(ended) - at - 4) + ended[at + 4 :]
    assert np.array_equal(decode(defined, LIMITS).pixels, whole)


@pytest.mark.parametrize("syntax", EXACT)
@pytest.mark.parametrize("size", [None, 200])
def test_items_that_are_cut_are_refused(syntax: UID, size: int | None) -> None:
    data = encoded_file(FILM, syntax, EXACT[syntax], fragment_bytes=size, **TWELVE)
    first = data.index(b"\xe0\x7f\x10\x00") + 12
    items = data[first:].count(b"\xfe\xff\x00\xe0")
    for length in range(first, len(data) - 9, 97):
        with pytest.raises(MalformedError):
            decode(data[:length], LIMITS)
    offset = first
    for _ in range(items - 1):  # exactly between two items
        offset += 8 + int.from_bytes(data[offset + 4 : offset + 8], "little")
        for rest in (b"", DELIMITER, bytes(8)):
            with pytest.raises(MalformedError):
                decode(data[:offset] + rest, LIMITS)


@pytest.mark.parametrize("syntax", EXACT)
def test_frames_that_are_missing_are_refused(syntax: UID) -> None:
    film, frames = frames_of(syntax)
    data = encapsulated_file(frames[:2], syntax, film)[:-8]
    with pytest.raises(MalformedError, match="2 fragments, but 3 frames"):
        decode(data, LIMITS)


@pytest.mark.parametrize("syntax", EXACT)
@pytest.mark.parametrize("table", [b"\0", bytes(3), bytes(6), b"\1\2\3\4\5", None])
def test_one_frame_needs_no_table(syntax: UID, table: bytes | None) -> None:
    data = encoded_file(FILM, syntax, EXACT[syntax], **TWELVE)
    at = data.index(b"\xe0\x7f\x10\x00") + 12
    item = b"" if table is None else b"\xfe\xff\x00\xe0" + struct.pack("<I", len(table)) + table
    other = data[:at] + item + data[at + 8 :]
    assert np.array_equal(decode(other, LIMITS).pixels, decode(data, LIMITS).pixels)


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEG2000Lossless, RLELossless])
def test_frames_that_tell_where_they_begin_need_no_table(syntax: UID) -> None:
    film = np.stack([FILM, FILM[::-1]])
    if syntax == RLELossless:
        data = dicom_file(film, syntax=syntax, **TWELVE)
    else:
        data = encapsulated_file([EXACT[syntax](one) for one in film], syntax, film, **TWELVE)
    at = data.index(b"\xfe\xff\x00\xe0")
    (length,) = struct.unpack_from("<I", data, at + 4)
    bare = data[:at] + data[at + 8 + length :]
    for frame in (0, 1):
        expected = decode(data, LIMITS, frame=frame).pixels
        assert np.array_equal(decode(bare, LIMITS, frame=frame).pixels, expected)


def test_the_delimiter_may_occur_within_a_fragment() -> None:
    film = np.frombuffer(b"\xfe\xff\xdd\xe0" * 4, np.uint8).reshape(4, 4)
    data = encoded_file(film, EncapsulatedUncompressed, EXACT[EncapsulatedUncompressed])
    assert np.array_equal(decode(data, LIMITS).pixels, film)


@pytest.mark.parametrize("first", [b"\xfe\xff\x00\xe0", b"\xfe\xff\x00\xe0\x60\0\0\0"])
def test_native_pixels_are_not_taken_for_items(first: bytes) -> None:
    film = np.frombuffer(first.ljust(64, b"\7"), np.uint8).reshape(8, 8)
    assert np.array_equal(decode(dicom_file(film), LIMITS).pixels, film)


def test_millions_of_fragments_are_not_walked() -> None:
    data = encoded_file(FILM, JPEGLSLossless, EXACT[JPEGLSLossless], **TWELVE)
    item = b"\xfe\xff\x00\xe0\0\0\0\0"
    with pytest.raises(MalformedError, match="more than 200,000 fragments"):
        decode(data[:-8] + 1_000_000 * item + data[-8:], LIMITS)


def test_as_many_fragments_as_frames_need_not_be_one_each() -> None:
    film, frames = frames_of(JPEGLSLossless)
    half = len(frames[0]) // 4 * 2
    data = encapsulated_file([frames[0][:half], frames[0][half:], frames[1]], JPEGLSLossless, film)
    for index in range(3):
        with pytest.raises(MalformedError, match="cannot be told apart"):
            decode(data, LIMITS, frame=index)


@pytest.mark.parametrize("syntax", [*EXACT, RLELossless])
def test_the_last_item_may_lack_its_padding_but_no_byte_of_its_frame(syntax: UID) -> None:
    film = np.random.default_rng(3).integers(0, 256, (41, 31), np.uint8)
    if syntax == RLELossless:
        runs = b"".join(bytes([30]) + row.tobytes() for row in film)
        frame = struct.pack("<16L", 1, 64, *[0] * 14) + runs + b"\x80"
    else:
        frame = bytes(EXACT[syntax](film))
    while not len(frame) % 2:
        film = film[:, :-1].copy() if syntax == EncapsulatedUncompressed else film[:-1].copy()
        frame = bytes(EXACT[syntax](film))
    data = encapsulated_file([frame], syntax, film)[: -len(DELIMITER)]
    assert np.array_equal(decode(data[:-1], LIMITS).pixels, film)
    even = encapsulated_file([frame[:-1]], syntax, film)[: -len(DELIMITER)]
    for cut in (data[:-2], data[:-3], even[:-1]):
        with suppress(SoloError):  # an end marker is no pixel, and some do without
            assert np.array_equal(decode(cut, LIMITS).pixels, film)
    with pytest.raises(SoloError):
        decode(data[:-6], LIMITS)
