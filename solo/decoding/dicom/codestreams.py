"""Codestream decoding: JPEG, JPEG-LS, JPEG 2000, HTJ2K and JPEG XL frames.

A codestream's header is read in Python first; only what agrees with the DICOM header reaches a
decoder. imagecodecs brings them: libjpeg-turbo, CharLS, OpenJPEG and libjxl.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
from pydicom.uid import UID, HTJ2KLossless, HTJ2KLosslessRPCL, JPEG2000Lossless

from solo.contract.greyscale import as_grey
from solo.decoding.codecs.frame_header import FrameHeader
from solo.decoding.codecs.jpeg import decode_jpeg
from solo.decoding.codecs.jpeg2000_header import Jpeg2000Header, read_jpeg2000_header
from solo.decoding.codecs.jpeg_header import JpegHeader, read_jpeg_header
from solo.decoding.codecs.jpegxl_header import read_jpegxl_header
from solo.decoding.dicom.pixel_layout import PixelLayout, SampleBits
from solo.decoding.dicom.transfer_syntaxes import Coding, JPEGXLLossless
from solo.errors import MalformedError, SoloError

Samples = npt.NDArray[Any]

_DECODERS: Final = (
    "jpeg8_decode", "jpegls_decode", "jpeg2k_decode", "jpegxl_decode", "packbits_decode",
    "tiff_decode", "deflate_decode",
)  # fmt: skip
_LOSSLESS_2000: Final = (JPEG2000Lossless, HTJ2KLossless, HTJ2KLosslessRPCL)


def decode_codestream(
    data: bytes, coding: Coding, syntax: UID, layout: PixelLayout
) -> tuple[Samples, FrameHeader]:
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
    header = _read_header(data, coding, syntax)
    _check(header, layout)
    try:
        samples = _decode(data, coding, header, layout)
    except (SoloError, MemoryError):
        raise
    except Exception:  # each decoder has its own, and its text is the library's
        raise MalformedError(
            f"the {header.process} frame cannot be decoded: its data are damaged"
        ) from None
    if samples.shape[:2] != (layout.rows, layout.columns) or samples.dtype.kind not in "ui":
        raise MalformedError(f"the {header.process} frame is not what its header says")
    if header.precision > 8 >= layout.bits.stored and not _fit(samples, layout.bits):
        raise MalformedError(
            f"the {header.process} frame has samples beyond the {layout.bits.stored} bits of its "
            "DICOM header"
        )
    return samples, header


def load_decoders() -> None:
    """Loads all decoders, which imagecodecs does when the first file needs one."""
    for name in _DECODERS:
        getattr(imagecodecs, name)


def _read_header(data: bytes, coding: Coding, syntax: UID) -> FrameHeader:
    # JPEG XL does not say whether it is without loss, JPEG 2000 not whether it was cut to a rate.
    if coding is Coding.JPEG_2000:
        header = read_jpeg2000_header(data)
        return replace(header, reversible=header.reversible and syntax in _LOSSLESS_2000)
    if coding is Coding.JPEG_XL:
        return replace(read_jpegxl_header(data), reversible=syntax == JPEGXLLossless)
    return read_jpeg_header(data)


def _check(header: FrameHeader, layout: PixelLayout) -> None:
    """Checks the frame header against the DICOM header.

    Decoders allocate what a codestream promises, and some crash or invent pixels where the two
    disagree. Precision may exceed the bits stored (12-bit JPEG of 10-bit films is common) or fall
    short of them, as long as the samples do not need a byte more than the codestream has.
    """
    bits = layout.bits
    if (header.height, header.width) != (layout.rows, layout.columns):
        found = f"is {header.height} x {header.width} pixels"
        expected = f"{layout.rows} x {layout.columns}"
    elif header.components != layout.samples:
        found = f"has {header.components} components"
        expected = f"{layout.samples} samples per pixel"
    elif (
        header.precision > bits.allocated
        or header.precision <= 8 < bits.stored
        or (bits.signed and not header.signed and header.precision < bits.stored)
    ):
        found = f"has samples of {header.precision} bits"
        expected = f"{bits.stored} of {bits.allocated}"
    else:
        return
    raise MalformedError(
        f"the {header.process} frame {found}, but its DICOM header says {expected}"
    )


def _fit(samples: Samples, bits: SampleBits) -> bool:
    """Whether nothing but a sign is beyond as many bits as are stored."""
    values = samples.view(f"i{samples.itemsize}") if bits.signed else samples
    beyond = values >> (bits.stored - bits.signed)
    return bool(((beyond == 0) | (bits.signed & (beyond == -1))).all())


def _decode(data: bytes, coding: Coding, header: FrameHeader, layout: PixelLayout) -> Samples:
    samples: Samples
    if isinstance(header, Jpeg2000Header):
        # OpenJPEG for HTJ2K too. OpenJPH is faster, but lets what is beyond the range wrap around,
        # and imagecodecs drops its errors: a damaged film would be half an image and no exception.
        samples = imagecodecs.jpeg2k_decode(header.codestream, numthreads=1)
        return samples
    if coding is Coding.JPEG_LS:
        samples = imagecodecs.jpegls_decode(data)
        return samples
    if isinstance(header, JpegHeader):
        samples = decode_jpeg(data, header, as_stored=True)
        luminance_first = header.luminance_first  # what the JPEG tells is what its encoder did
        if luminance_first is None:
            luminance_first = layout.photometric != "RGB"
    else:  # RGB whatever the photometric interpretation, which may tell of the JPEG it once was
        shape = (layout.rows, layout.columns, layout.samples)[: 2 if layout.samples == 1 else 3]
        samples = np.zeros(shape, np.uint8 if header.precision <= 8 else np.uint16)
        imagecodecs.jpegxl_decode(data, index=0, keeporientation=True, numthreads=1, out=samples)
        luminance_first = False
    if samples.ndim == 2:
        return samples
    if luminance_first:
        return samples[:, :, 0]
    return np.asarray(cv2.cvtColor(as_grey(samples), cv2.COLOR_RGB2GRAY))
