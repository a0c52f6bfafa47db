"""The transfer syntax against what the pixels are: what they are counts, if it can be told."""

from __future__ import annotations

from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from solo.decoding.decode import decode
from solo.decoding.dicom.transfer_syntaxes import (
    CODINGS,
    DeflatedImageFrame,
    EncapsulatedUncompressed,
    JPEGXLLossless,
)
from solo.decoding.radiograph import Limits
from solo.errors import MalformedError, SoloError, UnsupportedEncodingError
from tests.support.dicom import dicom_file
from tests.support.encapsulated import EXACT, LOSSY, encapsulated_file
from tests.support.films import chest

LIMITS = Limits(max_pixels=100_000)
TWELVE: dict[str, Any] = {"BitsStored": 12, "HighBit": 11}
FILM = chest()
GREY = (FILM // 16).astype(np.uint8)
NATIVE = {syntax: dicom_file(FILM, syntax=syntax, **TWELVE)
          for syntax in (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian,
                         DeflatedExplicitVRLittleEndian)}  # fmt: skip
EXPECTED = decode(NATIVE[ExplicitVRLittleEndian], LIMITS).pixels
RETIRED = UID("1.2.840.10008.1.2.4.55")  # full progression
PRIVATE = UID("1.2.3.4")
NONSENSE = UID("not-a-uid", validation_mode=0)
# Deflated frames have no signature, and are read by declaration only.
TOLD = {syntax: encode for syntax, encode in EXACT.items() if syntax != DeflatedImageFrame}
ODD = (RETIRED, PRIVATE, NONSENSE)


def declared(syntax: UID, data: bytes) -> bytes:
    """The same file under another transfer syntax; the group length is not asked for."""
    at = data.index(b"\x02\0\x10\0UI") + 6
    length = int.from_bytes(data[at : at + 2], "little")
    value = syntax.encode() + bytes(len(syntax) % 2)
    return data[:at] + len(value).to_bytes(2, "little") + value + data[at + 2 + length :]


@pytest.mark.parametrize("syntax", [*CODINGS, *ODD])
@pytest.mark.parametrize("inside", TOLD)
def test_a_codestream_is_read_under_any_syntax(inside: UID, syntax: UID) -> None:
    data = encapsulated_file([TOLD[inside](FILM)], syntax, FILM, **TWELVE)
    if syntax == DeflatedExplicitVRLittleEndian:
        data = declared(syntax, data)  # its data set is not deflated, which can be told as well
    if inside == EncapsulatedUncompressed and syntax in (RETIRED, PRIVATE, DeflatedImageFrame):
        with pytest.raises(SoloError):  # nothing but the length tells
            decode(data, LIMITS)
        return
    assert np.array_equal(decode(data, LIMITS).pixels, EXPECTED)


@pytest.mark.parametrize("syntax", [*CODINGS, NONSENSE])
@pytest.mark.parametrize("inside", NATIVE)
def test_native_pixels_of_the_right_length_are_read_under_any_syntax(
    inside: UID, syntax: UID
) -> None:
    if inside == DeflatedExplicitVRLittleEndian != syntax:
        with pytest.raises(MalformedError):
            decode(declared(syntax, NATIVE[inside]), LIMITS)
        return
    if syntax == DeflatedExplicitVRLittleEndian and inside in (
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
    ):
        return  # such a data set is not told from a deflate stream
    assert np.array_equal(decode(declared(syntax, NATIVE[inside]), LIMITS).pixels, EXPECTED)


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLosslessSV1, ImplicitVRLittleEndian])
def test_words_of_bytes_keep_the_byte_order_of_the_data_set(syntax: UID) -> None:
    data = dicom_file(np.array([[2, 1, 4, 3]], np.uint8), syntax=ExplicitVRBigEndian)
    as_words = data.replace(b"\x7f\xe0\x00\x10OB", b"\x7f\xe0\x00\x10OW")
    assert decode(declared(syntax, as_words), LIMITS).pixels.tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEGLosslessSV1, JPEG2000, PRIVATE])
def test_run_lengths_are_told_by_their_header(syntax: UID) -> None:
    film = np.stack([FILM, FILM[::-1]])
    data = dicom_file(film, syntax=RLELossless, **TWELVE)
    for frame in (0, 1):
        expected = decode(data, LIMITS, frame=frame).pixels
        assert np.array_equal(decode(declared(syntax, data), LIMITS, frame=frame).pixels, expected)
    start = data.index(b"\x40\0\0\0", data.index(b"\xe0\x7f\x10\0")) - 4
    one_more = data[:start] + b"\3" + data[start + 1 :]
    with pytest.raises(SoloError):
        decode(declared(syntax, one_more), LIMITS)


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, RETIRED, ExplicitVRLittleEndian])
@pytest.mark.parametrize("shape", [(70, 60), (33, 47)])
def test_progressive_jpeg_is_read(syntax: UID, shape: tuple[int, int]) -> None:
    film = GREY[: shape[0], : shape[1]]
    frame = cv2.imencode(".jpg", film, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    found = decode(encapsulated_file([frame], syntax, film), LIMITS)
    assert np.abs(found.pixels.astype(int) - film).max() < 8
    assert found.info.encoding == syntax
    with pytest.raises(MalformedError):
        decode(encapsulated_file([frame[: len(frame) // 2]], syntax, film), LIMITS)


def test_loss_under_a_lossless_syntax_is_clipped_and_does_not_wrap() -> None:
    film = np.zeros((32, 32), np.uint16)
    film[:, 11:] = 1023
    frame = imagecodecs.jpeg8_encode(film, level=40, bitspersample=12)
    elements: dict[str, Any] = {
        "BitsStored": 10,
        "HighBit": 9,
        "WindowCenter": 512,
        "WindowWidth": 1024,
    }
    expected = decode(encapsulated_file([frame], JPEGExtended12Bit, film, **elements), LIMITS)
    assert expected.pixels.max() == 65535
    for syntax in (JPEGLosslessSV1, JPEGLSLossless, ImplicitVRLittleEndian):
        found = decode(encapsulated_file([frame], syntax, film, **elements), LIMITS)
        assert np.array_equal(found.pixels, expected.pixels)


@pytest.mark.parametrize("syntax", LOSSY)
def test_lossy_frames_under_native_are_those_of_their_own_syntax(syntax: UID) -> None:
    data = encapsulated_file([LOSSY[syntax](FILM)], syntax, FILM, **TWELVE)
    found = decode(declared(ExplicitVRLittleEndian, data), LIMITS)
    assert np.array_equal(found.pixels, decode(data, LIMITS).pixels)


@pytest.mark.parametrize("inside", [JPEGLosslessSV1, JPEG2000Lossless, JPEGLSLossless])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian, JPEGLosslessSV1])
def test_a_codestream_without_items_is_read(inside: UID, syntax: UID) -> None:
    frame = bytes(EXACT[inside](FILM))
    data = dicom_file(FILM, without=("PixelData",), **TWELVE)
    data += b"\xe0\x7f\x10\x00OB\0\0" + len(frame).to_bytes(4, "little") + frame
    assert np.array_equal(decode(declared(syntax, data), LIMITS).pixels, EXPECTED)
    with pytest.raises(MalformedError):
        decode(declared(syntax, data[:-20]), LIMITS)


@pytest.mark.parametrize(
    ("frame", "syntax", "text"),
    [
        (b"\x12\x34" * 500, JPEGLosslessSV1, "nothing tells how the frame is coded"),
        (b"\x12\x34" * 500, ExplicitVRLittleEndian, "the transfer syntax is Explicit VR Little"),
        (EXACT[DeflatedImageFrame](FILM), ImplicitVRLittleEndian, "nothing tells"),
        (b"\xff" + bytes(TOLD[JPEGLosslessSV1](FILM)), JPEGLosslessSV1, "nothing tells"),
        (b"\x12\x34" * 500, EncapsulatedUncompressed, "need 8,400"),
        (b"\x12\x34" * 500, RLELossless, "segments, but its image needs 2"),
    ],
)
def test_what_cannot_be_told_is_refused(frame: bytes, syntax: UID, text: str) -> None:
    with pytest.raises(MalformedError, match=text):
        decode(encapsulated_file([frame], syntax, FILM, **TWELVE), LIMITS)


def test_an_unknown_syntax_is_named_where_the_pixels_do_not_tell() -> None:
    frames = encapsulated_file([b"\x12\x34" * 500], PRIVATE, FILM, **TWELVE)
    # There are private syntaxes whose native pixels are in another byte order than the data set.
    for data in (frames, declared(PRIVATE, NATIVE[ExplicitVRLittleEndian]), frames[:-20]):
        with pytest.raises(UnsupportedEncodingError, match=r"1\.2\.3\.4 \(unknown"):
            decode(data, LIMITS)


@pytest.mark.parametrize("marker", [0xC5, 0xC9, 0xCA, 0xCB])
def test_hierarchical_and_arithmetic_jpeg_are_refused(marker: int) -> None:
    frame = bytes(TOLD[JPEGLosslessSV1](FILM)).replace(b"\xff\xc3", bytes([0xFF, marker]), 1)
    with pytest.raises(UnsupportedEncodingError, match=f"JPEG SOF{marker - 0xC0}: hierarchical"):
        decode(encapsulated_file([frame], JPEGLosslessSV1, FILM, **TWELVE), LIMITS)


def test_native_pixels_of_another_length_under_a_compressed_syntax_are_refused() -> None:
    for rows in (69, 71):
        data = declared(JPEGLosslessSV1, dicom_file(FILM, Rows=rows))
        with pytest.raises(MalformedError, match="8,400 bytes are not those of 1 x"):
            decode(data, LIMITS)


@pytest.mark.parametrize("photometric", ["YBR_FULL", "YBR_RCT", "YBR_ICT"])
def test_colour_under_another_syntax_is_refused_where_it_may_be_rgb_or_not(
    photometric: str,
) -> None:
    colour = np.dstack([GREY, GREY, GREY])
    elements: dict[str, Any] = {"SamplesPerPixel": 3, "PlanarConfiguration": 0}
    native = dicom_file(colour, PhotometricInterpretation=photometric, **elements)
    frame = imagecodecs.jpeg2k_encode(colour, codecformat="j2k", level=0, reversible=True)
    boxed = encapsulated_file(
        [frame], JPEGBaseline8Bit, colour, PhotometricInterpretation=photometric, **elements
    )
    for data in (declared(JPEG2000Lossless, native), boxed):
        with pytest.raises(MalformedError, match=f"is RGB or {photometric} cannot be told"):
            decode(data, LIMITS)
        plain = data.replace(photometric.encode().ljust(8), b"RGB".ljust(8), 1)
        if len(photometric) <= 8:
            assert np.abs(decode(plain, LIMITS).pixels.astype(int) - GREY).max() <= 1


def test_uncompressed_frames_may_begin_like_a_codestream() -> None:
    film = GREY.copy()
    film[0, :4] = [0xFF, 0xD8, 0xFF, 0xE0]
    for syntax in (EncapsulatedUncompressed, ExplicitVRLittleEndian):
        data = (
            encapsulated_file([film.tobytes()], syntax, film)
            if syntax == EncapsulatedUncompressed
            else dicom_file(film)
        )
        assert np.array_equal(decode(data, LIMITS).pixels, film)


def test_the_declared_syntax_is_told() -> None:
    data = encapsulated_file([TOLD[JPEGXLLossless](FILM)], JPEG2000, FILM, **TWELVE)
    assert decode(data, LIMITS).info.encoding == JPEG2000
    nameless = encapsulated_file([TOLD[JPEGXLLossless](FILM)], NONSENSE, FILM, **TWELVE)
    assert decode(nameless, LIMITS).info.encoding == ExplicitVRLittleEndian
