"""Transfer syntaxes that are read, and the coding of each.

PS3.5 Section 10 and Annex A. What a codestream is, it tells itself (`codings`): this table counts
where nothing is told.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from solo.errors import UnsupportedEncodingError

# pydicom's dictionary does not have these yet.
EncapsulatedUncompressed: Final = UID("1.2.840.10008.1.2.1.98")
DeflatedImageFrame: Final = UID("1.2.840.10008.1.2.8.1")
JPEGXLLossless: Final = UID("1.2.840.10008.1.2.4.110")
JPEGXLJPEGRecompression: Final = UID("1.2.840.10008.1.2.4.111")
JPEGXL: Final = UID("1.2.840.10008.1.2.4.112")
_NAMES: Final = {
    EncapsulatedUncompressed: "Encapsulated Uncompressed Explicit VR Little Endian",
    DeflatedImageFrame: "Deflated Image Frame Compression",
    JPEGXLLossless: "JPEG XL Lossless",
    JPEGXLJPEGRecompression: "JPEG XL JPEG Recompression",
    JPEGXL: "JPEG XL",
}


class Coding(Enum):
    """Coding of a frame's pixel cells."""

    NATIVE = "native"
    ENCAPSULATED = "encapsulated"
    DEFLATED = "deflated frames"
    RLE = "RLE"
    JPEG = "JPEG"
    JPEG_LOSSLESS = "lossless JPEG"
    JPEG_LS = "JPEG-LS"
    JPEG_2000 = "JPEG 2000"
    JPEG_XL = "JPEG XL"


CODINGS: Final[dict[UID, Coding]] = {
    ImplicitVRLittleEndian: Coding.NATIVE,
    ExplicitVRLittleEndian: Coding.NATIVE,
    ExplicitVRBigEndian: Coding.NATIVE,
    DeflatedExplicitVRLittleEndian: Coding.NATIVE,
    EncapsulatedUncompressed: Coding.ENCAPSULATED,
    DeflatedImageFrame: Coding.DEFLATED,
    RLELossless: Coding.RLE,
    JPEGBaseline8Bit: Coding.JPEG,
    JPEGExtended12Bit: Coding.JPEG,
    JPEGLossless: Coding.JPEG_LOSSLESS,
    JPEGLosslessSV1: Coding.JPEG_LOSSLESS,
    JPEGLSLossless: Coding.JPEG_LS,
    JPEGLSNearLossless: Coding.JPEG_LS,
    JPEG2000Lossless: Coding.JPEG_2000,
    JPEG2000: Coding.JPEG_2000,
    HTJ2KLossless: Coding.JPEG_2000,
    HTJ2KLosslessRPCL: Coding.JPEG_2000,
    HTJ2K: Coding.JPEG_2000,
    JPEGXLLossless: Coding.JPEG_XL,
    JPEGXLJPEGRecompression: Coding.JPEG_XL,
    JPEGXL: Coding.JPEG_XL,
}


def syntax_name(syntax: UID) -> str:
    """Name of a transfer syntax in the standard, or words for one that is not there."""
    if syntax in _NAMES:
        return _NAMES[syntax]
    return syntax.name if syntax.name != syntax else "unknown to this service"


def check_syntax(syntax: UID) -> None:
    """Refuses a transfer syntax that is not supported.

    Raises:
        UnsupportedEncodingError: naming the syntax and those that are supported.
    """
    if syntax in CODINGS:
        return
    raise UnsupportedEncodingError(
        f"transfer syntax {syntax} ({syntax_name(syntax)}) is not supported; supported are "
        + ", ".join(f"{known} ({syntax_name(known)})" for known in CODINGS)
    )
