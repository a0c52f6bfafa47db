"""Which format a file is in, by strong signs before weak ones."""

from __future__ import annotations

import struct
import zlib

import imagecodecs
import numpy as np
import pytest
from pydicom.uid import CTImageStorage, ImplicitVRLittleEndian

from solo.decoding.decode import decode, sniff
from solo.decoding.radiograph import Limits
from solo.errors import NotSegmentableError
from tests.support.dicom import dicom_file
from tests.support.films import chest, jpeg, png, png_chunk

LIMITS = Limits(100_000)
FILM = chest()
GREY = (FILM // 16).astype(np.uint8)
EXPECTED = decode(dicom_file(FILM), LIMITS).pixels
PREAMBLES = {
    "tiff": b"II*\0\x08\0\0\0",
    "big-endian tiff": b"MM\0*\0\0\0\x08",
    "bigtiff": b"II+\0\x08\0\0\0",
    "big-endian bigtiff": b"MM\0+\0\x08\0\0",
    "png": png(GREY)[:100],
    "jpeg": jpeg(GREY)[:100],
    "mz": b"MZ",
    "dicom element": b"\x08\0\x05\0CS",
}


@pytest.mark.parametrize("name", PREAMBLES)
def test_the_preamble_of_a_dicom_file_says_nothing(name: str) -> None:
    film, preamble = dicom_file(FILM, preamble=PREAMBLES[name]), PREAMBLES[name]
    assert sniff(film) == "dicom"
    assert np.array_equal(decode(film, LIMITS).pixels, EXPECTED)
    bare = film[:132] + dicom_file(FILM, syntax=ImplicitVRLittleEndian)[132:]
    assert np.array_equal(decode(bare, LIMITS).pixels, EXPECTED)
    without_meta = film[:132] + film[film.index(b"\x08\0\x16\0") :]
    assert np.array_equal(decode(without_meta, LIMITS).pixels, EXPECTED)
    assert sniff(film[:132]) is not None  # as much as is read of each file of a folder
    with pytest.raises(NotSegmentableError):
        decode(dicom_file(FILM, SOPClassUID=CTImageStorage, preamble=preamble), LIMITS)


def spelling(kind: str, text: bytes) -> bytes:
    """A raster with a text at 128: of its pixels if it is a TIFF, of its comments otherwise."""
    if kind == "tiff":
        data = bytes(imagecodecs.tiff_encode(GREY))
        return data[:128] + text + data[128 + len(text) :]
    if kind == "png":
        data = png(GREY)
        return data[:33] + png_chunk(b"tEXt", b"a\0".ljust(128 - 41, b"x") + text) + data[33:]
    data = jpeg(GREY)
    comment = bytes(128 - 6) + text
    return data[:2] + struct.pack(">HH", 0xFFFE, len(comment) + 2) + comment + data[2:]


@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff"])
@pytest.mark.parametrize("text", [b"DICM", b"DICM is what DICOM files have here", b"DICM\0\0\0\0"])
def test_a_raster_that_spells_dicm_is_one_if_no_element_follows(kind: str, text: bytes) -> None:
    data = spelling(kind, text)
    assert data[128:132] == b"DICM"
    assert decode(data, LIMITS).info.kind == kind


def test_a_file_of_no_signature_that_has_dicm_is_dicom() -> None:
    assert sniff(bytes(128) + b"DICM") == "dicom"
    assert sniff(zlib.compress(bytes(500))) is None
