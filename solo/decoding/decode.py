"""Format detection by signature, and the decoder of that format."""

from __future__ import annotations

from typing import Final, Literal

from solo.decoding.codecs.jpeg_header import JPEG_SIGNATURE
from solo.decoding.codecs.memory import shortage_of_memory
from solo.decoding.dicom.decode import decode_dicom
from solo.decoding.dicom.file import looks_like_dicom
from solo.decoding.png_chunks import PNG_SIGNATURE
from solo.decoding.radiograph import Limits, Radiograph
from solo.decoding.raster import decode_jpeg, decode_png
from solo.decoding.tiff import decode_tiff
from solo.decoding.tiff_header import TIFF_SIGNATURES
from solo.errors import EmptyError, MalformedError

_RASTERS: Final[dict[Literal["png", "jpeg", "tiff"], bytes | tuple[bytes, ...]]] = {
    "png": PNG_SIGNATURE,
    "jpeg": JPEG_SIGNATURE,
    "tiff": TIFF_SIGNATURES,
}


def sniff(data: bytes | memoryview) -> Literal["dicom", "png", "jpeg", "tiff"] | None:
    """File format by signature, or None; DICM at 128 comes before what begins the preamble."""
    head = bytes(data[:16])
    raster = next((kind for kind, begin in _RASTERS.items() if head.startswith(begin)), None)
    return "dicom" if looks_like_dicom(data, other_signature=raster is not None) else raster


@shortage_of_memory()
def decode(data: bytes | memoryview, limits: Limits, frame: int = 0) -> Radiograph:
    """Decodes one frame of a DICOM, PNG, JPEG or TIFF file.

    The bytes alone decide how: a declared media type opens the door, but a JPEG called PNG is
    still read as the JPEG it is, with the same result as without the declaration.

    Args:
        data: the whole file; it does not change meanwhile.
        limits: what it may ask for.
        frame: which frame, from 0; a single image has frame 0 only.

    Raises:
        MalformedError: for bytes that are empty, truncated, or none of DICOM, PNG, JPEG and TIFF.
        ImageTooLargeError: above the pixel limit.
        UnsupportedEncodingError: for pixels in an encoding that is not read.
        NotSegmentableError: for what is no radiograph.
        InvalidParameterError: for a frame that is not there.
        MemoryError: if there is not enough of it.
    """
    if not data:
        raise EmptyError("the file has no bytes")
    match sniff(data):
        case "dicom":
            return decode_dicom(data, limits, frame)
        case "png":
            return decode_png(bytes(data), limits, frame)
        case "jpeg":
            return decode_jpeg(bytes(data), limits, frame)
        case "tiff":
            return decode_tiff(bytes(data), limits, frame)
        case None:
            raise MalformedError(
                f"the {len(data):,} bytes are none of DICOM, PNG, JPEG and TIFF by their signature"
            )
