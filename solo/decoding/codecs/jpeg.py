"""JPEG decoding by libjpeg-turbo, whose every warning of damage refuses the file.

libjpeg goes on where data are missing, invents the rest, and reports success with a warning.
simplejpeg hears the warning, but reads 8 bits only. What has more is decoded by imagecodecs, which
does not, and read once more as if it had 8: the entropy-coded data are the same.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import imagecodecs
import numpy.typing as npt
import simplejpeg

from solo.decoding.codecs.jpeg_header import (
    BASELINE,
    EXTENDED,
    JPEG_END,
    LOSSLESS,
    PROGRESSIVE,
    START_OF_FRAME,
    START_OF_SCAN,
    JpegHeader,
)
from solo.decoding.codecs.jpeg_lossless import check_bits
from solo.errors import MalformedError, TruncatedError, UnsupportedEncodingError

Samples = npt.NDArray[Any]

_SCAN: Final = b"\xff\xda\0"  # the length of its header has one byte
_MAX_SCANS: Final = 200  # each passes over the whole image, and takes but a few bytes
_MAX_SIDE: Final = 65_500  # JPEG_MAX_DIMENSION of libjpeg
_WHOLE_SPECTRUM: Final = b"\0\x3f\0"  # what a sequential scan's header has to say, and may not
_NO_PIXELS: Final = {*range(0xE0, 0xF0), 0xFE}  # segments of applications, and comments
_RGB, _YCBCR, _YCCK = 0, 1, 2  # Adobe's transforms


def decode_jpeg(data: bytes, header: JpegHeader, *, as_stored: bool) -> Samples:
    """Decodes a sequential, progressive or lossless JPEG, or refuses it if it is damaged.

    Args:
        data: the file.
        header: its header.
        as_stored: whether three components come as they are, and not as blue, green and red. Of a
            lossless JPEG they always have to.

    Returns:
        uint8 or uint16 [H, W], or uint8 [H, W, 3].

    Raises:
        TruncatedError: if data are missing before the end of the image.
        MalformedError: if they are damaged.
        UnsupportedEncodingError: for sampling factors that libjpeg-turbo's interface has not, or
            more rows or columns than it reads.
        MemoryError: if there is not enough of it.
    """
    several = header.components > 1 or header.marker == PROGRESSIVE  # else libjpeg takes one only
    if several and data.count(_SCAN) > _MAX_SCANS:
        raise MalformedError(f"the JPEG has more than {_MAX_SCANS} scans")
    if max(header.height, header.width) > _MAX_SIDE:
        raise UnsupportedEncodingError(
            f"the JPEG is {header.height:,} x {header.width:,} pixels; libjpeg-turbo reads at most "
            f"{_MAX_SIDE:,} rows or columns"
        )
    if data.rfind(JPEG_END) < header.segments[-1][2]:
        # Of a lossless one, whose bits are counted: what DICOM fills up with is none of them.
        data = data.rstrip(b"\0") + JPEG_END
    colours = "RGB" if as_stored else "BGR"
    if header.precision > 8:
        samples = imagecodecs.jpeg8_decode(data)
        if header.marker != LOSSLESS:
            _decode_strictly(_in_8_bits(data, header, None), "GRAY", smallest=True)
    else:
        samples = _decode_strictly(
            _in_8_bits(data, header, _RGB if as_stored else _adobe_transform(header)),
            "GRAY" if header.components == 1 else colours,
        )
    if header.marker == LOSSLESS and samples.ndim == 2:
        check_bits(data, header, samples)
    return samples


def _adobe_transform(header: JpegHeader) -> int | None:
    """What to tell libjpeg of the components."""
    if header.components == 3:
        return _RGB if header.luminance_first is False else _YCBCR
    return None if header.adobe is None else _YCCK if header.adobe else _RGB


def _in_8_bits(data: bytes, header: JpegHeader, transform: int | None) -> bytes:
    """The same JPEG, said to have 8 bits at most, with no segment but what makes its pixels.

    Others may be odd in ways that libjpeg warns of.
    """
    pieces = [b"\xff\xd8"]
    if transform is not None:
        pieces.append(b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform]))
    for marker, contents, _ in header.segments:
        if marker in START_OF_FRAME:
            contents = bytes([min(contents[0], 8)]) + contents[1:]
        if marker == START_OF_SCAN and header.marker in (BASELINE, EXTENDED):
            contents = contents[:-3] + _WHOLE_SPECTRUM
        if marker not in _NO_PIXELS:
            pieces += [struct.pack(">BBH", 0xFF, marker, len(contents) + 2), contents]
    return b"".join([*pieces, memoryview(data)[header.segments[-1][2] :]])


def _decode_strictly(data: bytes, colours: str, *, smallest: bool = False) -> Samples:
    """uint8 [H, W] or [H, W, 3]; the smallest is an eighth of it, of the same data."""
    least, reason = int(smallest), ""
    for filled_up in (True, False):
        tried = data if filled_up else _without_filling(data)
        try:
            samples: Samples = simplejpeg.decode_jpeg(
                tried, colours, min_height=least, min_width=least
            )
            return samples[:, :, 0] if samples.shape[2] == 1 else samples
        except ValueError as error:  # its text is the library's
            reason = str(error)
        if "extraneous" not in reason:
            break
    if "subsampling" in reason:
        raise UnsupportedEncodingError(
            "the JPEG's components, or their sampling factors, are not supported"
        )
    if "remature end" in reason:
        raise TruncatedError(
            "the JPEG's data end before its image does: part of them is missing or damaged"
        )
    raise MalformedError("the JPEG cannot be decoded: its data are damaged")


def _without_filling(data: bytes) -> bytes:
    """The same JPEG without zeros before its end marker, with which some writers fill up."""
    end = data.find(b"\0" + JPEG_END) + 1
    coded = data[:end].rstrip(b"\0")
    return coded + b"\0" * coded.endswith(b"\xff") + data[end:]  # that one is stuffed (B.1.1.5)
