"""Coding of a frame: by what its bytes are, and by the transfer syntax where they do not tell."""

from __future__ import annotations

from typing import Final

from pydicom.uid import UID

from solo.decoding.codecs.jpeg_header import (
    JPEG_LS,
    JPEG_SIGNATURE,
    LOSSLESS,
    LOSSY,
    read_jpeg_header,
)
from solo.decoding.codecs.rle import begins_segments
from solo.decoding.dicom.pixel_layout import PixelLayout
from solo.decoding.dicom.pixel_length import is_exact
from solo.decoding.dicom.transfer_syntaxes import CODINGS, Coding, check_syntax, syntax_name
from solo.errors import MalformedError, UnsupportedEncodingError

_SIGNATURES: Final = {
    JPEG_SIGNATURE: Coding.JPEG,
    b"\xff\x4f\xff\x51": Coding.JPEG_2000,
    b"\0\0\0\x0cjP  \r\n\x87\n": Coding.JPEG_2000,
    b"\xff\x0a": Coding.JPEG_XL,
    b"\0\0\0\x0cJXL \r\n\x87\n": Coding.JPEG_XL,
}
_JPEG_CODINGS: Final = {
    **dict.fromkeys(LOSSY, Coding.JPEG),
    LOSSLESS: Coding.JPEG_LOSSLESS,
    JPEG_LS: Coding.JPEG_LS,
}
# Of these three components are RGB or YCbCr by the same words and markers.
_SAME_COLOUR: Final = {Coding.JPEG, Coding.JPEG_LOSSLESS}


def signature_of(data: bytes | memoryview) -> bytes | None:
    """Signature of the codestream that begins here, or None."""
    head = bytes(data[:12])
    return next((one for one in _SIGNATURES if head.startswith(one)), None)


def coding_of(data: bytes, syntax: UID, layout: PixelLayout) -> Coding:
    """Coding of an encapsulated frame.

    Args:
        data: the frame's fragments, joined.
        syntax: transfer syntax that the file declares.
        layout: what the DICOM header says of the frame.

    Raises:
        MalformedError: if nothing tells, or the header of a JPEG is damaged.
        UnsupportedEncodingError: for a coding that is not read.
    """
    declared = CODINGS.get(syntax)
    uncompressed = is_exact(len(data), layout)
    signature = signature_of(data)
    if declared is Coding.ENCAPSULATED and uncompressed:
        return declared
    if signature is not None:
        coding = _SIGNATURES[signature] if signature != JPEG_SIGNATURE else _jpeg_coding(data)
    elif declared is Coding.DEFLATED:
        coding = declared
    elif begins_segments(data):
        coding = Coding.RLE
    elif uncompressed and declared is not None:  # a private syntax may have its own byte order
        coding = Coding.ENCAPSULATED
    elif declared in (Coding.RLE, Coding.ENCAPSULATED):
        return declared  # its decoder says what is wrong
    else:
        check_syntax(syntax)
        raise MalformedError(
            "nothing tells how the frame is coded: no codestream begins in it, it is neither RLE "
            f"nor as long as its pixels, and the transfer syntax is {syntax_name(syntax)}"
        )
    check_colour(coding, syntax, layout)
    return coding


def _jpeg_coding(data: bytes) -> Coding:
    header = read_jpeg_header(data)
    if header.marker not in _JPEG_CODINGS:
        raise UnsupportedEncodingError(
            f"the frame is {header.process}: hierarchical and arithmetic JPEG are not read"
        )
    return _JPEG_CODINGS[header.marker]


def check_colour(coding: Coding, syntax: UID, layout: PixelLayout) -> None:
    """Refuses YCbCr under another syntax: its own would say whether decoding makes it RGB.

    Raises:
        MalformedError: if that cannot be told.
    """
    codings = {coding, CODINGS.get(syntax)}
    if layout.photometric.startswith("YBR") and len(codings) > 1 and not codings <= _SAME_COLOUR:
        raise MalformedError(
            f"the frame is {coding.value} under {syntax_name(syntax)}: whether its colour is RGB "
            f"or {layout.photometric} cannot be told"
        )
