"""Frames in fragments: items, offset tables, and their ends."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
)

from solo.decoding.decode import decode
from solo.decoding.dicom.transfer_syntaxes import EncapsulatedUncompressed, JPEGXLLossless
from solo.decoding.radiograph import Limits
from solo.errors import InvalidParameterError, MalformedError, TruncatedError
from tests.support.dicom import dicom_file
from tests.support.encapsulated import EXACT, encapsulated_file, encoded_file
from tests.support.films import chest

LIMITS = Limits(max_pixels=100_000)
TWELVE: dict[str, Any] = {"BitsStored": 12, "HighBit": 11}
FILM = chest()


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
def test_a_table_that_points_nowhere_is_refused(offsets: tuple[int, ...]) -> None:
    film, frames = frames_of(JPEGLSLossless)
    data = encapsulated_file(frames, JPEGLSLossless, film, offset_table=True, fragment_bytes=100)
    start = data.index(b"\xfe\xff\x00\xe0\x0c\x00\x00\x00") + 8
    wrong = data[:start] + struct.pack("<3I", *offsets) + data[start + 12 :]
    with pytest.raises(MalformedError, match="offset table"):
        decode(wrong, LIMITS, frame=2)


def test_fragments_that_cannot_be_told_apart_are_refused() -> None:
    film, frames = frames_of(EncapsulatedUncompressed)
    data = encapsulated_file(frames, EncapsulatedUncompressed, film, fragment_bytes=100)
    with pytest.raises(MalformedError, match="cannot be told apart into 3 frames"):
        decode(data, LIMITS)


def test_the_items_end_with_a_delimiter() -> None:
    data = encoded_file(FILM, JPEGLosslessSV1, EXACT[JPEGLosslessSV1], **TWELVE)
    for length in range(data.index(b"\xe0\x7f\x10\x00") + 12, len(data), 97):
        with pytest.raises(MalformedError):
            decode(data[:length], LIMITS)
    with pytest.raises(TruncatedError, match="no end"):
        decode(data[:-8], LIMITS)
    with pytest.raises(MalformedError, match="an item is missing"):
        decode(data[:-8] + b"\xfe\xff\x99\xe0" + bytes(4), LIMITS)


def test_the_delimiter_may_occur_within_a_fragment() -> None:
    film = np.frombuffer(b"\xfe\xff\xdd\xe0" * 4, np.uint8).reshape(4, 4)
    data = encoded_file(film, EncapsulatedUncompressed, EXACT[EncapsulatedUncompressed])
    assert np.array_equal(decode(data, LIMITS).pixels, film)


def test_native_and_encapsulated_pixels_are_not_taken_for_each_other() -> None:
    data = encoded_file(FILM, ExplicitVRLittleEndian, EXACT[JPEGLosslessSV1], **TWELVE)
    with pytest.raises(MalformedError, match="encapsulated, but the transfer syntax is Explicit"):
        decode(data, LIMITS)


def test_elements_after_the_pixels_are_read() -> None:
    data = encoded_file(FILM, JPEGLosslessSV1, EXACT[JPEGLosslessSV1], **TWELVE)
    trailing = struct.pack("<HH2sHI", 0xFFFC, 0xFFFC, b"OB", 0, 4) + bytes(4)
    assert np.array_equal(decode(data + trailing, LIMITS).pixels, decode(data, LIMITS).pixels)
    with pytest.raises(TruncatedError):
        decode(data + trailing[:-2], LIMITS)


def test_millions_of_fragments_are_not_walked() -> None:
    data = encoded_file(FILM, JPEGLSLossless, EXACT[JPEGLSLossless], **TWELVE)
    item = b"\xfe\xff\x00\xe0\0\0\0\0"
    with pytest.raises(MalformedError, match="more than 20,000 fragments"):
        decode(data[:-8] + 1_000_000 * item + data[-8:], LIMITS)
