from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from pydicom.uid import (
    MPEG2MPML,
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
)

from app.errors import status_of
from solo.decoding.decode import decode, sniff
from solo.decoding.dicom import file as dicom_file_module
from solo.decoding.radiograph import Limits
from solo.errors import (
    ImageTooLargeError,
    InvalidParameterError,
    MalformedError,
    NotSegmentableError,
    SoloError,
    TruncatedError,
    UnsupportedEncodingError,
)
from tests.support.dicom import INSTANCE_UID, PATIENT_ID, PATIENT_NAME, deflate_bomb, dicom_file
from tests.support.films import chest

LIMITS = Limits(max_pixels=100_000)
TWELVE: dict[str, Any] = {
    "BitsStored": 12,
    "HighBit": 11,
    "WindowCenter": 2048,
    "WindowWidth": 4096,
}
SYNTAXES = [
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
]


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_every_syntax_gives_the_same_pixels(syntax: UID) -> None:
    film = chest()
    found = decode(dicom_file(film, syntax=syntax, **TWELVE), LIMITS)
    assert found.info.encoding == syntax
    assert found.info.kind == "dicom"
    np.testing.assert_allclose(found.pixels, film / 4095 * 65535, atol=0.51)


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("shape", [(3, 5), (1, 1), (2, 4)])
def test_eight_bits_of_any_shape_come_through(syntax: UID, shape: tuple[int, int]) -> None:
    film = np.arange(shape[0] * shape[1], dtype=np.uint8).reshape(shape) * 9
    found = decode(dicom_file(film, syntax=syntax), LIMITS)
    assert found.pixels.tolist() == film.tolist()
    assert found.info.grey == "as_stored"


def test_words_of_bytes_are_swapped_in_big_endian() -> None:
    # PS3.5 A.3: with VR OW, bytes change places within their word
    data = dicom_file(np.array([[2, 1, 4, 3]], np.uint8), syntax=ExplicitVRBigEndian)
    as_words = data.replace(b"\x7f\xe0\x00\x10OB", b"\x7f\xe0\x00\x10OW")
    assert decode(as_words, LIMITS).pixels.tolist() == [[1, 2, 3, 4]]


def test_signed_samples_keep_their_order() -> None:
    film = np.array([[-1000, 0, 1000]], np.int16)
    data = dicom_file(film, WindowCenter=0.5, WindowWidth=2001)
    assert decode(data, LIMITS).pixels.tolist() == [[0, 32768, 65535]]


def test_a_monochrome1_twin_is_the_same_film() -> None:
    film = chest()
    twin = dicom_file(4095 - film, PhotometricInterpretation="MONOCHROME1", **TWELVE)
    plain, inverted = decode(dicom_file(film, **TWELVE), LIMITS), decode(twin, LIMITS)
    assert np.abs(plain.pixels.astype(int) - inverted.pixels).max() <= 1


def test_frames_are_told_apart() -> None:
    film = np.stack([np.full((2, 3), grey, np.uint8) for grey in (10, 20, 30)])
    for syntax in (ExplicitVRLittleEndian, RLELossless):
        data = dicom_file(film, syntax=syntax)
        assert decode(data, LIMITS, frame=2).pixels.tolist() == [[30] * 3] * 2
        assert decode(data, LIMITS, frame=2).info.frame == 2
        with pytest.raises(InvalidParameterError, match="frame is 3, but the file has 3"):
            decode(data, LIMITS, frame=3)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless])
def test_colour_becomes_grey(syntax: UID) -> None:
    colour = np.zeros((1, 4, 3), np.uint8)
    colour[0] = [[90, 90, 90], [255, 0, 0], [0, 255, 0], [0, 0, 255]]
    data = dicom_file(
        colour, syntax=syntax, SamplesPerPixel=3, SOPClassUID=SecondaryCaptureImageStorage
    )
    assert decode(data, LIMITS).pixels.tolist() == [[90, 76, 150, 29]]


def test_colour_planes_are_read_as_planes() -> None:
    planes = np.array([[[200, 1]], [[200, 1]], [[200, 1]]], np.uint8)  # [3, 1, 2]
    interleaved = planes.reshape(1, 2, 3)  # the same bytes under the default's shape
    data = dicom_file(interleaved, SamplesPerPixel=3, PlanarConfiguration=1)
    assert decode(data, LIMITS).pixels.tolist() == [[200, 1]]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_a_file_without_preamble_is_read(syntax: UID) -> None:
    data = dicom_file(chest(), syntax=syntax, preamble=False, **TWELVE)
    bare = data[data.index(b"\x08\x00\x16\x00") :]  # without file meta as well
    expected = decode(dicom_file(chest(), **TWELVE), LIMITS).pixels
    for headless in (data, bare):
        assert np.array_equal(decode(headless, LIMITS).pixels, expected)


def test_missing_elements_have_the_standard_defaults() -> None:
    absent = ("BitsStored", "HighBit", "PixelRepresentation", "PhotometricInterpretation")
    data = dicom_file(np.array([[1, 2]], np.uint8), without=absent)
    assert decode(data, LIMITS).pixels.tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("elements", "status", "text"),
    [
        ({"SOPClassUID": CTImageStorage, "Modality": "CT"}, 422, "CT Image Storage with modality"),
        ({"SOPClassUID": SecondaryCaptureImageStorage, "Modality": "MR"}, 422, "modality MR"),
        ({"SOPClassUID": "1.2.840.10008.5.9", "Modality": "PLANTED"}, 422, "unknown SOP class"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, 422, "PALETTE COLOR"),
        ({"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31}, 422, "32 bits allocated"),
        ({"Rows": 400, "Columns": 300}, 413, "400 x 300 = 120,000 pixels; at most 100,000"),
        ({"Rows": 0}, 400, "0 x 60"),
        ({"Rows": 71}, 400, "need 8,520"),
        ({"Columns": 59}, 400, "more than the 8,260"),
        ({"BitsStored": 17}, 400, "do not fit"),
        ({"SamplesPerPixel": 4}, 400, "4 samples"),
        ({"NumberOfFrames": 1_000_000}, 400, "1000000"),
    ],
)
def test_what_cannot_be_segmented_is_refused(
    elements: dict[str, Any], status: int, text: str
) -> None:
    with pytest.raises(SoloError) as caught:
        decode(dicom_file(chest(), **elements), LIMITS)
    assert status_of(caught.value) == status
    assert text in caught.value.detail
    assert "PLANTED" not in caught.value.detail.upper()


@pytest.mark.parametrize("missing", ["Rows", "Columns", "BitsAllocated"])
def test_a_file_without_its_shape_is_malformed(missing: str) -> None:
    with pytest.raises(MalformedError, match=missing):
        decode(dicom_file(chest(), without=(missing,)), LIMITS)


def test_no_pixel_data_is_not_segmentable() -> None:
    with pytest.raises(NotSegmentableError, match="no pixel data"):
        decode(dicom_file(chest(), without=("PixelData",)), LIMITS)


def test_an_unsupported_syntax_is_named() -> None:
    data = dicom_file(chest())
    plain, other = b"1.2.840.10008.1.2.1\0", str(MPEG2MPML).encode() + b"\0"
    data = data.replace(
        struct.pack("<H", len(plain)) + plain, struct.pack("<H", len(other)) + other
    )
    with pytest.raises(UnsupportedEncodingError, match=r"10008\.1\.2\.4\.100 \(MPEG2"):
        decode(data, LIMITS)


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_file_cut_anywhere_is_refused_as_malformed(syntax: UID) -> None:
    data = dicom_file(chest(20, 20), syntax=syntax, **TWELVE)
    whole_elements = 0
    for length in range(133, len(data) - 30, 7):
        with pytest.raises(SoloError) as caught:
            decode(data[:length], LIMITS)
        assert status_of(caught.value) in {400, 422}
        whole_elements += status_of(caught.value) == 422  # what is there is well-formed
    assert whole_elements < 8


def test_pixels_cut_short_are_called_truncated() -> None:
    with pytest.raises(TruncatedError):
        decode(dicom_file(chest())[:-100], LIMITS)


def test_a_deflate_bomb_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_file_module, "MAX_INFLATED_BYTES", 2**20)
    bomb = deflate_bomb(8 * 2**20)
    assert len(bomb) < 20_000
    with pytest.raises(ImageTooLargeError, match="1,048,576"):
        decode(bomb, LIMITS)


def test_a_run_length_bomb_is_stopped_at_the_size_of_the_image() -> None:
    data = bytearray(dicom_file(np.zeros((4, 4), np.uint8), syntax=RLELossless))
    honest = decode(bytes(data), LIMITS).pixels
    assert honest.shape == (4, 4)
    for rows, text in ((1, "more than its 4 bytes"), (2, "more than the 8")):
        smaller = bytes(data).replace(b"\x28\0\x10\0US\2\0\4\0", b"\x28\0\x10\0US\2\0%c\0" % rows)
        with pytest.raises(MalformedError, match=text):
            decode(smaller, LIMITS)
    data[data.index(struct.pack("<I", 1) + struct.pack("<I", 64))] = 2  # one segment too many
    with pytest.raises(MalformedError, match="2 segments, but its image needs 1"):
        decode(bytes(data), LIMITS)


def test_nested_sequences_do_not_exhaust_the_stack() -> None:
    data = dicom_file(chest(), without=("PixelData",))
    nested = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 5000
    with pytest.raises(MalformedError, match="more than 32 deep"):
        decode(data + nested, LIMITS)


def test_millions_of_items_and_elements_are_not_walked() -> None:
    head = dicom_file(chest(), without=("PixelData",))
    item, end = b"\xfe\xff\x00\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"
    sequence = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff"
    element = b"\xe1\x7f\x01\x00LO\x02\x00ab"
    for long in (sequence + 1_000_000 * item + end, 250_000 * element):
        with pytest.raises(MalformedError, match="more elements and items"):
            decode(head + long, LIMITS)


@pytest.mark.parametrize("data", [b"\x08\x00" + bytes(50), b"\x02\x00\x10\x00UI\x04\x001.2\0"])
def test_what_only_begins_like_dicom_is_refused(data: bytes) -> None:
    assert sniff(data) == "dicom"
    with pytest.raises(SoloError) as caught:
        decode(data, LIMITS)
    assert status_of(caught.value) in {400, 415, 422}


def test_damage_anywhere_is_an_answer_and_never_a_crash() -> None:
    data = dicom_file(chest(12, 12), **TWELVE, RescaleSlope=1, RescaleIntercept=0)
    generator = np.random.default_rng(0)
    outcomes = []
    for _ in range(400):
        damaged = bytearray(data)
        for position in generator.integers(132, len(data) - 288, 3):
            damaged[position] = generator.integers(256)
        outcomes.append(outcome(bytes(damaged)))
    statuses = {status for status, _ in outcomes}
    assert {200, 400} <= statuses <= {200, 400, 413, 415, 422}
    details = " ".join(detail for _, detail in outcomes)
    assert not [secret for secret in (PATIENT_NAME, PATIENT_ID, INSTANCE_UID) if secret in details]


def outcome(data: bytes) -> tuple[int, str]:
    try:
        decode(data, LIMITS)
    except SoloError as error:
        return status_of(error), error.detail
    return 200, ""


def test_spacing_and_recipe_are_told() -> None:
    found = decode(dicom_file(chest(), ImagerPixelSpacing=[0.14, 0.15]), LIMITS)
    assert found.info.pixel_spacing is not None
    assert (found.info.pixel_spacing.row_mm, found.info.pixel_spacing.column_mm) == (0.14, 0.15)
    assert found.info.pixel_spacing.source == "detector"
    assert found.info.grey == "percentiles"
