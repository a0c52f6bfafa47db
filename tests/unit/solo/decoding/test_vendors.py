"""Files as some machines write them: not by the book, but what they mean can be told."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from solo.decoding.decode import decode
from solo.decoding.dicom.element_walk import MAX_STEPS
from solo.decoding.dicom.file import parse_dicom
from solo.decoding.radiograph import Limits
from solo.errors import MalformedError
from tests.support.dicom import dicom_file
from tests.support.films import chest

LIMITS = Limits(max_pixels=100_000)
FILM = chest()
GREY = (FILM // 16).astype(np.uint8)
TWELVE: dict[str, Any] = {"BitsStored": 12, "HighBit": 11}
PLAIN = dicom_file(FILM, **TWELVE)
EXPECTED = decode(PLAIN, LIMITS).pixels
PIXEL_DATA = b"\xe0\x7f\x10\x00"
UNDEFINED = 0xFFFFFFFF


def inserted(element: bytes, data: bytes = PLAIN) -> bytes:
    at = data.index(PIXEL_DATA)
    return data[:at] + element + data[at:]


def item(tag: int, length: int = 0) -> bytes:
    return struct.pack("<HHI", 0xFFFE, tag, length)


IMPLICIT_IN_UNKNOWN = (
    struct.pack("<HH2sHI", 0x0011, 0x1001, b"UN", 0, UNDEFINED)
    + item(0xE000, UNDEFINED) + struct.pack("<HHI", 0x0008, 0x0100, 4) + b"ABCD"
    + item(0xE00D) + item(0xE0DD)
)  # fmt: skip
NESTED_PIXELS = struct.pack("<HH2sHI", 0x0088, 0x0200, b"SQ", 0, UNDEFINED) + (
    item(0xE000, UNDEFINED)
    + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, UNDEFINED)
    + item(0xE000) + item(0xE000, 4) + b"icon" + item(0xE0DD) + item(0xE00D) + item(0xE0DD)
)  # fmt: skip
ICON_ROWS = struct.pack("<HH2sHH", 0x0028, 0x0010, b"US", 2, 9)
EMPTY_SEQUENCE = struct.pack("<HH2sHI", 0x0088, 0x0200, b"SQ", 0, 0)
ELEMENTS = {
    "an odd length": struct.pack("<HH2sH", 0x0028, 0x4000, b"LT", 3) + b"abc",
    "an unknown representation": struct.pack("<HH2sH", 0x0029, 0x1000, b"ZZ", 2) + b"ab",
    "no representation": struct.pack("<HH2sH", 0x0029, 0x1000, b"??", 2) + b"ab",
    "blanks for a representation": struct.pack("<HH2sH", 0x0029, 0x1000, b"  ", 2) + b"ab",
    "an implicit element": struct.pack("<HHI", 0x0029, 0x1000, 2) + b"ab",
    "an odd length and its padding": struct.pack("<HH2sH", 0x0028, 0x4000, b"LT", 3) + b"abc ",
    "a sequence of defined length with a delimiter": struct.pack(
        "<HH2sHI", 0x0028, 0x9110, b"SQ", 0, 8
    )
    + item(0xE000)
    + item(0xE0DD),
    "an unknown sequence": IMPLICIT_IN_UNKNOWN,
    "an encapsulated icon": NESTED_PIXELS,
    "an explicit sequence that is unknown": struct.pack(
        "<HH2sHI", 0x0011, 0x1001, b"UN", 0, UNDEFINED
    )
    + item(0xE000, UNDEFINED)
    + ICON_ROWS
    + item(0xE00D)
    + item(0xE0DD),
    "items after an empty sequence": EMPTY_SEQUENCE
    + item(0xE000, UNDEFINED)
    + ICON_ROWS
    + item(0xE00D)
    + item(0xE000, len(ICON_ROWS))
    + ICON_ROWS
    + item(0xE0DD),
    "the same in an item": struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, UNDEFINED)
    + item(0xE000, UNDEFINED)
    + EMPTY_SEQUENCE
    + item(0xE000, UNDEFINED)
    + ICON_ROWS
    + item(0xE00D)
    + item(0xE0DD)
    + item(0xE00D)
    + item(0xE0DD),
    "twenty sequences within each other": (
        struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, UNDEFINED) + item(0xE000, UNDEFINED)
    )
    * 20
    + (item(0xE00D) + item(0xE0DD)) * 20,
    "an alphabet that is none": struct.pack("<HH2sH", 0x0008, 0x0005, b"CS", 4) + b"NONE",
}


@pytest.mark.parametrize("name", ELEMENTS)
def test_what_nobody_asks_for_is_passed_over(name: str) -> None:
    assert np.array_equal(decode(inserted(ELEMENTS[name]), LIMITS).pixels, EXPECTED)


def without_meta(data: bytes, first: bytes = b"\x08\0\x16\0") -> bytes:
    return data[data.index(first) :]


IMPLICIT = dicom_file(FILM, syntax=ImplicitVRLittleEndian, **TWELVE)
BIG_ENDIAN = dicom_file(FILM, syntax=ExplicitVRBigEndian, **TWELVE)
EXPLICIT_UID = ExplicitVRLittleEndian.encode() + b"\0"
IMPLICIT_UID = ImplicitVRLittleEndian.encode() + b"\0"
WHOLE = {
    "no meta, explicit": without_meta(PLAIN),
    "no meta, implicit": without_meta(IMPLICIT),
    "no meta, big-endian": without_meta(BIG_ENDIAN, b"\0\x08\0\x16"),
    "a preamble without a meta": bytes(128) + b"DICM" + without_meta(PLAIN),
    "explicit declared implicit": PLAIN.replace(EXPLICIT_UID, IMPLICIT_UID + b"\0\0", 1),
    "a UID padded with a blank": PLAIN.replace(EXPLICIT_UID, EXPLICIT_UID[:-1] + b" ", 1),
    "zeros at the end": PLAIN + bytes(100_000),
    "no frames": inserted(struct.pack("<HH2sH", 0x0028, 0x0008, b"IS", 2) + b"0 "),
    "frames left empty": dicom_file(FILM, NumberOfFrames="", **TWELVE),
    "pixels padded to four bytes": PLAIN[: -FILM.nbytes - 4]
    + struct.pack("<I", FILM.nbytes + 4) + PLAIN[-FILM.nbytes :] + bytes(4),
    "a window beside all values": dicom_file(FILM, WindowCenter=-5000, WindowWidth=10, **TWELVE),
    "a table of one grey": dicom_file(
        FILM, VOILUTSequence=Sequence([pydicom.Dataset.from_json(
            {"00283002": {"vr": "US", "Value": [2, 0, 8]},
             "00283006": {"vr": "US", "Value": [255, 255]}})]), **TWELVE),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_what_a_file_means_can_be_told(name: str) -> None:
    found = decode(WHOLE[name], LIMITS)
    assert np.array_equal(found.pixels, EXPECTED)
    assert found.info.grey == "percentiles"


LARGE = np.tile(FILM, (5, 6))
LARGE_PLAIN = dicom_file(LARGE, **TWELVE)
LARGE_EXPECTED = decode(LARGE_PLAIN, Limits(200_000)).pixels


@pytest.mark.parametrize("letters", [b"??", b"us", b"\0\0", b"  ", b"--", b"Cs"])
def test_an_unknown_representation_is_no_length_in_a_file_that_is_as_long(letters: bytes) -> None:
    for value in (b"ab", b"abcd", b"0123456789ab"):
        head = struct.pack("<HH2sH", 0x0028, 0x1200, letters, len(value))
        for count in (1, 3):
            data = inserted((head + value) * count, LARGE_PLAIN)
            assert np.array_equal(decode(data, Limits(200_000)).pixels, LARGE_EXPECTED)
    at = LARGE_PLAIN.index(PIXEL_DATA) + 4
    pixels_of_it = LARGE_PLAIN[:at] + letters + LARGE_PLAIN[at + 2 :]
    assert np.array_equal(decode(pixels_of_it, Limits(200_000)).pixels, LARGE_EXPECTED)


@pytest.mark.parametrize("length", [2, 8, 300, 70_000])
def test_implicit_elements_in_an_explicit_data_set_are_not_taken_for_short_ones(
    length: int,
) -> None:
    value = (b"CHESTSHUI\2\0" * 30)[:length] if length < 70_000 else bytes(length)
    some = b"".join(struct.pack("<HHI", 0x0028, tag, length) + value for tag in (0x1200, 0x1201))
    found = decode(inserted(some, LARGE_PLAIN), Limits(200_000))
    assert np.array_equal(found.pixels, LARGE_EXPECTED)


@pytest.mark.parametrize(
    "between",
    [
        bytes(8), bytes(128),
        struct.pack("<HHIIHHIH", 0, 0, 4, 10, 0, 2, 2, 0x31),
        struct.pack("<HH2sHI", 0, 0, b"UL", 4, 10) + struct.pack("<HH2sHH", 0, 0x100, b"US", 2, 1),
    ],
    ids=len,
)  # fmt: skip
def test_zeros_and_a_command_before_the_data_set_are_passed_over(between: bytes) -> None:
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian):
        data = dicom_file(FILM, syntax=syntax, **TWELVE)
        at = data.index(b"\0\x08\0\x16" if syntax == ExplicitVRBigEndian else b"\x08\0\x16\0")
        assert np.array_equal(decode(data[:at] + between + data[at:], LIMITS).pixels, EXPECTED)


def test_a_megabyte_of_zeros_before_the_data_set_is_not_walked() -> None:
    at = PLAIN.index(b"\x08\0\x16\0")
    with pytest.raises(MalformedError):
        decode(PLAIN[:at] + bytes(8 * MAX_STEPS) + PLAIN[at:], LIMITS)


def test_a_delimiter_that_follows_no_sequence_is_refused() -> None:
    # what lies before it may be the rest of an item whose sequence was too short
    with pytest.raises(MalformedError, match="outside of a sequence"):
        decode(inserted(item(0xE0DD)), LIMITS)


@pytest.mark.parametrize("number", [1, 2])
def test_a_blank_in_the_photometric_interpretation_is_passed_over(number: int) -> None:
    found = decode(dicom_file(FILM, PhotometricInterpretation=f"MONOCHROME {number}"), LIMITS)
    right = decode(dicom_file(FILM, PhotometricInterpretation=f"MONOCHROME{number}"), LIMITS)
    assert np.array_equal(found.pixels, right.pixels)


def test_an_odd_number_of_bytes_may_lack_its_padding() -> None:
    odd = GREY[:69, :59]
    data = dicom_file(odd)
    assert data.endswith(b"\0")
    at = data.index(PIXEL_DATA) + 8
    short = data[:at] + struct.pack("<I", odd.size) + data[at + 4 : -1]
    assert np.array_equal(decode(short, LIMITS).pixels, odd)


def test_items_outside_of_a_sequence_are_refused() -> None:
    with pytest.raises(MalformedError, match="outside of a sequence"):
        decode(inserted(item(0xE000, UNDEFINED) + item(0xE00D)), LIMITS)


def test_the_steps_of_the_walk_are_bounded() -> None:
    one = struct.pack("<HH2sH", 0x0019, 0x1000, b"DS", 2) + b"1 "
    items = (item(0xE000, UNDEFINED) + 8 * one + item(0xE00D)) * (MAX_STEPS // 10 - 10)
    sequence = struct.pack("<HH2sHI", 0x0019, 0x1100, b"SQ", 0, UNDEFINED)
    data = inserted(sequence + items + item(0xE0DD))
    assert np.array_equal(decode(data, LIMITS).pixels, EXPECTED)
    with pytest.raises(MalformedError, match="more elements and items"):
        decode(inserted(200 * one, data), LIMITS)


def test_a_window_that_leaves_little_contrast_is_believed() -> None:
    film = FILM.copy()
    film[:2] = 3000  # three in a hundred
    found = decode(dicom_file(film, WindowCenter=2900, WindowWidth=10, **TWELVE), LIMITS)
    assert found.info.grey == "window"
    assert set(np.unique(found.pixels)) == {0, 65535}


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian,
     DeflatedExplicitVRLittleEndian],
)  # fmt: skip
def test_elements_are_those_that_pydicom_finds(syntax: pydicom.uid.UID) -> None:
    inner = Dataset()
    inner.CodeValue, inner.CodeMeaning = "1", "x" * 61
    inner.ReferencedSOPSequence = Sequence([Dataset(), Dataset()])
    outer = Dataset()
    outer.PurposeOfReferenceCodeSequence = Sequence([inner, inner])
    outer.is_undefined_length_sequence_item = True
    data = dicom_file(
        FILM, syntax=syntax, WindowCenter=[1.5, -2], WindowWidth=[7, 8], PixelSpacing=[0.1, 0.2],
        AnatomicRegionSequence=Sequence([outer]), ImageComments="", **TWELVE,
    )  # fmt: skip
    theirs = pydicom.dcmread(io.BytesIO(data))
    ours = parse_dicom(data).dataset
    assert set(ours.keys()) == set(theirs.keys()) - {0x7FE00010}
    for tag, element in ours.items():
        raw = theirs.get_item(tag)
        assert raw is not None
        assert raw.VR == "SQ" or element.value == (raw.value or b"")
