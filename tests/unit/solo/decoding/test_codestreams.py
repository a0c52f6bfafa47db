"""Frames that lie or end early, refused before or by the decoder."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom.uid import (
    HTJ2K,
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from app.errors import status_of
from solo.decoding.codecs import jpeg
from solo.decoding.decode import decode
from solo.decoding.dicom import codestreams as codecs
from solo.decoding.dicom.transfer_syntaxes import (
    DeflatedImageFrame,
    EncapsulatedUncompressed,
    JPEGXLLossless,
)
from solo.decoding.radiograph import Limits
from solo.errors import (
    ImageTooLargeError,
    MalformedError,
    NotSegmentableError,
    SoloError,
)
from tests.support.dicom import PATIENT_ID, PATIENT_NAME, dicom_file
from tests.support.encapsulated import BASELINE, EXACT, LOSSY, encapsulated_file, encoded_file
from tests.support.films import chest

LIMITS = Limits(max_pixels=100_000)
TWELVE: dict[str, Any] = {"BitsStored": 12, "HighBit": 11}
FILM = chest()
ALL = {**EXACT, **{syntax: LOSSY[syntax] for syntax in (HTJ2K, JPEGExtended12Bit)}}
CODESTREAMS = [
    syntax for syntax in ALL if syntax not in (EncapsulatedUncompressed, DeflatedImageFrame)
]


@pytest.fixture
def no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is refused here is refused before a decoder is asked."""
    for module, library in ((codecs, "imagecodecs"), (jpeg, "imagecodecs"), (jpeg, "simplejpeg")):
        monkeypatch.setattr(module, library, None)


def whole(syntax: UID) -> bytes:
    return bytes(ALL[syntax](FILM))


def described(frame: bytes, syntax: UID, **elements: Any) -> bytes:
    return encapsulated_file([frame], syntax, FILM, **{**TWELVE, **elements})


@pytest.mark.parametrize("syntax", ALL)
def test_a_frame_cut_anywhere_is_refused(syntax: UID) -> None:
    frame = whole(syntax)
    step = max(1, len(frame) // 60)
    for length in range(2, len(frame) - 3, step):
        with pytest.raises(MalformedError):
            decode(described(frame[:length], syntax), LIMITS)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, HTJ2KLossless, HTJ2K])
def test_a_jpeg_2000_frame_cut_before_its_end_marker_is_refused(
    syntax: UID, no_decoder: None
) -> None:
    frame = whole(syntax)
    for share in (0.1, 0.3, 0.6, 0.9, 0.99):
        cut = frame[: int(share * len(frame))] + frame[-2:]
        with pytest.raises(MalformedError):
            decode(described(cut, syntax), LIMITS)


@pytest.mark.parametrize("syntax", CODESTREAMS)
@pytest.mark.parametrize(
    "header",
    [{"Rows": 71}, {"Rows": 69}, {"Columns": 30, "Rows": 140}, {"Rows": 60, "Columns": 70}],
)
def test_another_geometry_than_the_header_says_is_refused(
    syntax: UID, header: dict[str, int], no_decoder: None
) -> None:
    with pytest.raises(MalformedError, match="70 x 60 pixels, but its DICOM header says"):
        decode(described(whole(syntax), syntax, **header), LIMITS)


@pytest.mark.parametrize("syntax", CODESTREAMS)
def test_other_components_than_the_header_says_are_refused(syntax: UID, no_decoder: None) -> None:
    colour = np.zeros((70, 60, 3), np.uint8)
    data = encapsulated_file([whole(syntax)], syntax, colour, SamplesPerPixel=3)
    with pytest.raises(MalformedError, match="1 components, but its DICOM header says 3 samples"):
        decode(data, LIMITS)


@pytest.mark.parametrize("syntax", CODESTREAMS)
def test_another_precision_than_the_header_says_is_refused(syntax: UID, no_decoder: None) -> None:
    bits = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    with pytest.raises(MalformedError, match="but its DICOM header says 8 of"):
        decode(described(whole(syntax), syntax, **bits), LIMITS)


@pytest.mark.parametrize("syntax", CODESTREAMS)
def test_a_deeper_frame_is_read_if_no_sample_is_beyond_the_bits_stored(syntax: UID) -> None:
    bits = {"BitsStored": 8, "HighBit": 7}
    for high in (7, 11, 15):
        with pytest.raises(MalformedError, match="samples beyond the 8 bits of its DICOM header"):
            decode(described(whole(syntax), syntax, BitsStored=8, HighBit=high), LIMITS)
    eight = FILM // np.uint16(16)
    frame = bytes(ALL[syntax](eight))
    found = decode(described(frame, syntax, **bits, WindowCenter=128, WindowWidth=256), LIMITS)
    np.testing.assert_allclose(found.pixels / 65535, eight / 255, atol=0.1)


def test_a_signed_codestream_has_its_sign_at_any_depth() -> None:
    signed = FILM.astype(np.int16) - 2048
    frame = imagecodecs.jpeg2k_encode(
        signed, codecformat="j2k", reversible=True, level=0, bitspersample=12
    )
    window: dict[str, Any] = {"WindowCenter": 0, "WindowWidth": 4096, "PixelRepresentation": 1}
    data = encapsulated_file([frame], JPEG2000Lossless, signed, **window)
    native = decode(dicom_file(signed, **window), LIMITS).pixels
    assert np.array_equal(decode(data, LIMITS).pixels, native)


def test_signed_samples_that_the_frame_has_no_bits_for_are_refused(no_decoder: None) -> None:
    with pytest.raises(MalformedError, match="samples of 12 bits"):
        decode(described(whole(JPEGLosslessSV1), JPEGLosslessSV1, BitsStored=16, HighBit=15,
                         PixelRepresentation=1), LIMITS)  # fmt: skip


def patched(frame: bytes, marker: bytes, offset: int, value: bytes) -> bytes:
    start = frame.index(marker) + offset
    return frame[:start] + value + frame[start + len(value) :]


HUGE = b"\xff\xdc\xff\xdc"  # 65,500 x 65,500
HUGE_TILE = struct.pack(">6I", 60000, 60000, 0, 0, 60000, 60000)
SIZES: list[tuple[UID, Callable[[bytes], bytes]]] = [
    (JPEGExtended12Bit, lambda frame: patched(frame, b"\xff\xc1", 5, HUGE)),
    (JPEGLosslessSV1, lambda frame: patched(frame, b"\xff\xc3", 5, HUGE)),
    (JPEGLSLossless, lambda frame: patched(frame, b"\xff\xf7", 5, HUGE)),
    (JPEG2000Lossless, lambda frame: patched(frame, b"\xff\x51", 6, HUGE_TILE)),
    (HTJ2KLossless, lambda frame: patched(frame, b"\xff\x51", 6, HUGE_TILE)),
    (JPEGXLLossless, lambda frame: frame[:2] + b"\xfe\xff\xff\xff\xff\xff" + frame[8:]),
]  # fmt: skip


@pytest.mark.parametrize(("syntax", "enlarge"), SIZES)
def test_a_codestream_that_promises_gigapixels_reaches_no_decoder(
    syntax: UID, enlarge: Callable[[bytes], bytes], no_decoder: None
) -> None:
    with pytest.raises(MalformedError, match=r"header says 70 x 60|code blocks"):
        decode(described(enlarge(whole(syntax)), syntax), LIMITS)


@pytest.mark.parametrize("syntax", [*CODESTREAMS, RLELossless, ExplicitVRLittleEndian])
def test_a_header_that_promises_gigapixels_is_refused(syntax: UID, no_decoder: None) -> None:
    huge: dict[str, Any] = {"Rows": 65535, "Columns": 65535}
    if syntax in ALL:
        data = described(whole(syntax), syntax, **huge)
    else:
        data = dicom_file(FILM, syntax=ExplicitVRLittleEndian, **huge)
    with pytest.raises(ImageTooLargeError, match="65535 x 65535"):
        decode(data, LIMITS)


@pytest.mark.parametrize("syntax", ALL)
def test_a_million_frames_on_one_fragment_are_refused(syntax: UID, no_decoder: None) -> None:
    with pytest.raises(MalformedError, match="1 fragments, but 1000000 frames"):
        decode(described(whole(syntax), syntax, NumberOfFrames=1_000_000), LIMITS)


def test_the_size_may_not_change_after_the_header() -> None:
    frame = whole(JPEGLosslessSV1)
    frames = patched(frame, b"\xff\xc3", 5, b"\0\0")  # number of lines to follow the scan
    with pytest.raises(MalformedError, match="0 x 60"):
        decode(described(frames, JPEGLosslessSV1), LIMITS)
    start = frame.index(b"\xff\xc3")
    twice = frame[:start] + frame[start : start + 13] + frame[start:]
    with pytest.raises(MalformedError, match="2 frame headers"):
        decode(described(twice, JPEGLosslessSV1), LIMITS)
    oversize = whole(JPEGLSLossless).replace(
        b"\xff\xda", b"\xff\xf8\x00\x06\x04\x02\xff\xff\xff\xda", 1
    )
    with pytest.raises(MalformedError, match="changes its own size"):
        decode(described(oversize, JPEGLSLossless), LIMITS)


def test_many_tiles_are_refused(no_decoder: None) -> None:
    tiny = patched(whole(JPEG2000Lossless), b"\xff\x51", 22, struct.pack(">2I", 1, 1))
    with pytest.raises(MalformedError, match="4,200 tiles"):
        decode(described(tiny, JPEG2000Lossless), LIMITS)


def test_animations_and_alpha_are_no_radiographs(no_decoder: None) -> None:
    byte = (FILM // 16).astype(np.uint8)
    moving = imagecodecs.jpegxl_encode(np.stack([byte, byte]), lossless=True, photometric="GRAY")
    clear = imagecodecs.jpegxl_encode(np.dstack([byte, byte]), lossless=True, photometric="GRAY")
    for frame in (moving, clear):
        with pytest.raises(NotSegmentableError, match="JPEG XL frame"):
            decode(encapsulated_file([frame], JPEGXLLossless, byte), LIMITS)


def test_a_box_that_lies_of_a_jpeg_xl_reaches_no_memory() -> None:
    other = np.zeros((3000, 2000), np.uint16)
    boxed = bytes(imagecodecs.jpegxl_encode(other, lossless=True, usecontainer=True))
    lie = b"jxlc" + whole(JPEGXLLossless)[:40]
    free = struct.pack(">I4s", 8 + len(lie), b"free") + lie
    with pytest.raises(MalformedError, match="JPEG XL frame cannot be decoded"):
        decode(described(boxed[:12] + free + boxed[12:], JPEGXLLossless), LIMITS)


@pytest.mark.parametrize("bits", range(9, 17))
def test_a_jpeg_xl_without_loss_is_not_scaled_to_its_cell(bits: int) -> None:
    film = np.minimum(FILM, 2**bits - 1).astype(np.uint16)
    frame = imagecodecs.jpegxl_encode(film, lossless=True, bitspersample=bits)
    elements: dict[str, Any] = {"BitsStored": bits, "HighBit": bits - 1}
    found = decode(encapsulated_file([frame], JPEGXLLossless, film, **elements), LIMITS)
    assert np.array_equal(found.pixels, decode(dicom_file(film, **elements), LIMITS).pixels)


def test_deflated_frames_are_inflated_no_further_than_the_image() -> None:
    bomb = bytes(EXACT[DeflatedImageFrame](np.zeros((2000, 2000), np.uint16)))
    with pytest.raises(MalformedError, match="more than the 8,400"):
        decode(described(bomb, DeflatedImageFrame), LIMITS)


@pytest.mark.parametrize("syntax", [*ALL, JPEGBaseline8Bit])
def test_damage_anywhere_is_an_answer_and_never_a_crash(syntax: UID) -> None:
    film = FILM if syntax in ALL else (FILM // 16).astype(np.uint8)
    data = encoded_file(
        film, syntax, {**BASELINE, **ALL}[syntax], **(TWELVE if syntax in ALL else {})
    )
    generator = np.random.default_rng(0)
    outcomes = [outcome(damaged(data, generator)) for _ in range(150)]
    assert {status for status, _ in outcomes} <= {200, 400, 413, 415, 422}
    assert sum(status == 400 for status, _ in outcomes) > 10
    details = " ".join(detail for _, detail in outcomes)
    assert not [secret for secret in (PATIENT_NAME, PATIENT_ID) if secret in details]


def damaged(data: bytes, generator: np.random.Generator) -> bytes:
    changed = bytearray(data)
    start = data.index(b"\xe0\x7f\x10\x00")
    for position in generator.integers(start, min(len(data), start + 300), 3):
        changed[position] = generator.integers(256)
    return bytes(changed)


def outcome(data: bytes) -> tuple[int, str]:
    try:
        decode(data, LIMITS)
    except SoloError as error:
        return status_of(error), error.detail
    return 200, ""
