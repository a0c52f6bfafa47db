"""Codestream decoding: JPEG, JPEG-LS, JPEG 2000, HTJ2K and JPEG XL frames.

A codestream's header is read in Python first; only what agrees with the DICOM header reaches a
decoder. imagecodecs brings them: libjpeg-turbo, CharLS, OpenJPEG and libjxl.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
from pydicom.uid import JPEG2000, UID, JPEGBaseline8Bit, JPEGLossless, JPEGLSNearLossless

from solo.contract.greyscale import as_grey
from solo.decoding.codecs.jpeg import decode_jpeg
from solo.decoding.codecs.jpeg2000_header import read_jpeg2000_header
from solo.decoding.codecs.jpeg_header import read_jpeg_header
from solo.decoding.codecs.jpegxl_header import read_jpegxl_header
from solo.decoding.codecs.memory import check_memory
from solo.decoding.dicom.frame_header import Codestream
from solo.decoding.dicom.pixel_layout import PixelLayout
from solo.decoding.dicom.transfer_syntaxes import (
    CODINGS,
    JPEGXL,
    Coding,
    JPEGXLLossless,
)
from solo.errors import MalformedError, SoloError

Samples = npt.NDArray[Any]
_Decoder = Callable[[], Samples]

_DECODERS: Final = (
    "jpeg8_decode", "jpegls_decode", "jpeg2k_decode", "jpegxl_decode", "packbits_decode",
    "tiff_decode", "deflate_decode",
)  # fmt: skip
_WORKING_BYTES: Final = 12  # of each sample: OpenJPEG and libjxl work in 32 bits, and twice
# What a codestream is read as where another coding is declared.
_SYNTAXES: Final = {
    Coding.JPEG: JPEGBaseline8Bit,
    Coding.JPEG_LOSSLESS: JPEGLossless,
    Coding.JPEG_LS: JPEGLSNearLossless,
    Coding.JPEG_2000: JPEG2000,
    Coding.JPEG_XL: JPEGXL,
}


def decode_codestream(
    data: bytes, coding: Coding, syntax: UID, layout: PixelLayout
) -> tuple[Samples, Codestream]:
    """Decodes the codestream of one frame.

    Args:
        data: the frame's fragments, joined.
        coding: what it is.
        syntax: transfer syntax that the file declares.
        layout: what the DICOM header says of the frame.

    Returns:
        uint8, uint16 or their signed twins [rows, columns], or [rows, columns, 3] with the
        luminance or RGB in front as the photometric interpretation says; and the frame's header.

    Raises:
        MalformedError: if the codestream is damaged or contradicts the DICOM header.
        TruncatedError: if a part of it is missing.
        NotSegmentableError: for an image that no radiograph is.
    """
    if CODINGS.get(syntax) is not coding:
        syntax = _SYNTAXES[coding]
    codestream, decoder = _READERS[coding](data, syntax, layout)
    codestream.check(layout)
    try:
        samples = decoder()
    except (SoloError, MemoryError):
        raise
    except Exception as error:  # each decoder has its own, and its text is the library's
        check_memory(error)
        # Some do not say that they lacked memory: what they need of it is asked for once more.
        np.empty((layout.rows, layout.columns, layout.samples, _WORKING_BYTES), np.uint8)
        raise MalformedError(
            f"the {codestream.process} frame cannot be decoded: its data are damaged"
        ) from None
    if samples.shape[:2] != (layout.rows, layout.columns) or samples.dtype.kind not in "ui":
        raise MalformedError(f"the {codestream.process} frame is not what its header says")
    return samples, codestream


def load_decoders() -> None:
    """Loads all decoders, which imagecodecs does when the first file needs one."""
    for name in _DECODERS:
        getattr(imagecodecs, name)


def _jpeg(data: bytes, syntax: UID, layout: PixelLayout) -> tuple[Codestream, _Decoder]:
    header, coding = read_jpeg_header(data), CODINGS[syntax]
    codestream = Codestream(
        process=header.process,
        height=header.height,
        width=header.width,
        components=header.components,
        precision=header.precision,
        signed=False,
        reversible=coding is not Coding.JPEG and header.near == 0,
    )
    if coding is Coding.JPEG_LS:
        return codestream, lambda: imagecodecs.jpegls_decode(data)
    luminance_first = header.luminance_first  # what the JPEG tells is what its encoder did
    if luminance_first is None:
        luminance_first = layout.photometric != "RGB"

    def decoder() -> Samples:
        samples = decode_jpeg(data, header, as_stored=True)
        if samples.ndim == 2:
            return samples
        if luminance_first:
            return samples[:, :, 0]
        return np.asarray(cv2.cvtColor(as_grey(samples), cv2.COLOR_RGB2GRAY))

    return codestream, decoder


def _jpeg2000(data: bytes, _syntax: UID, _layout: PixelLayout) -> tuple[Codestream, _Decoder]:
    header = read_jpeg2000_header(data)
    codestream = Codestream(
        process="HTJ2K" if header.high_throughput else "JPEG 2000",
        height=header.height,
        width=header.width,
        components=header.components,
        precision=header.precision,
        signed=header.signed,
        reversible=header.reversible,
    )
    # OpenJPEG for HTJ2K too. OpenJPH is faster, but lets what is beyond the range wrap around, and
    # imagecodecs drops its errors: a damaged film would be half an image and no exception.
    return codestream, lambda: imagecodecs.jpeg2k_decode(header.codestream, numthreads=1)


def _jpegxl(data: bytes, syntax: UID, _layout: PixelLayout) -> tuple[Codestream, _Decoder]:
    header = read_jpegxl_header(data)
    codestream = Codestream(
        process="JPEG XL",
        height=header.height,
        width=header.width,
        components=header.components,
        precision=header.precision,
        signed=False,
        reversible=syntax == JPEGXLLossless,
    )

    def decoder() -> Samples:
        samples: Samples = imagecodecs.jpegxl_decode(
            data, index=0, keeporientation=True, numthreads=1
        )
        if samples.ndim == 2:
            return samples
        # RGB whatever the photometric interpretation, which may tell of the JPEG it once was
        return np.asarray(cv2.cvtColor(samples, cv2.COLOR_RGB2GRAY))

    return codestream, decoder


_READERS: Final[dict[Coding, Callable[[bytes, UID, PixelLayout], tuple[Codestream, _Decoder]]]] = {
    Coding.JPEG: _jpeg,
    Coding.JPEG_LOSSLESS: _jpeg,
    Coding.JPEG_LS: _jpeg,
    Coding.JPEG_2000: _jpeg2000,
    Coding.JPEG_XL: _jpegxl,
}
