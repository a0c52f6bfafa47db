"""Transfer syntaxes that are read, and the coding of each.

PS3.5 Section 10 and Annex A. What a codestream is, it tells itself (`codings`): this table counts
where nothing is told.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from pydicom import uid as uids
from pydicom.uid import UID

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
    uids.ImplicitVRLittleEndian: Coding.NATIVE,
    uids.ExplicitVRLittleEndian: Coding.NATIVE,
    uids.ExplicitVRBigEndian: Coding.NATIVE,
    uids.DeflatedExplicitVRLittleEndian: Coding.NATIVE,
    EncapsulatedUncompressed: Coding.ENCAPSULATED,
    DeflatedImageFrame: Coding.DEFLATED,
    uids.RLELossless: Coding.RLE,
    uids.JPEGBaseline8Bit: Coding.JPEG,
    uids.JPEGExtended12Bit: Coding.JPEG,
    uids.JPEGLossless: Coding.JPEG_LOSSLESS,
    uids.JPEGLosslessSV1: Coding.JPEG_LOSSLESS,
    uids.JPEGLSLossless: Coding.JPEG_LS,
    uids.JPEGLSNearLossless: Coding.JPEG_LS,
    uids.JPEG2000Lossless: Coding.JPEG_2000,
    uids.JPEG2000: Coding.JPEG_2000,
    uids.HTJ2KLossless: Coding.JPEG_2000,
    uids.HTJ2KLosslessRPCL: Coding.JPEG_2000,
    uids.HTJ2K: Coding.JPEG_2000,
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
