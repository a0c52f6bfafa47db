"""TIFF decoding: each page is a frame, in its own size; orientation is ignored.

Strips and tiles are decompressed one by one and have to give their pixels, no more and no fewer:
libtiff leaves the rest of a damaged one as the memory was.
"""

from __future__ import annotations

from typing import Any

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt

from solo.contract.greyscale import HIGH_PERCENT, LOW_PERCENT, Grey, as_grey
from solo.decoding.codecs.jpeg_header import JPEG_END, JPEG_SIGNATURE
from solo.decoding.radiograph import Limits, Radiograph, check_frame
from solo.decoding.raster import decode_jpeg, grey_radiograph
from solo.decoding.tiff_header import read_directories
from solo.decoding.tiff_lzw import decompress_lzw
from solo.decoding.tiff_page import (
    JPEG,
    LZW,
    NONE,
    PALETTE,
    RGB,
    WHITE_IS_ZERO,
    Tag,
    TiffPage,
    is_film,
)
from solo.errors import (
    MalformedError,
    NotSegmentableError,
    SoloError,
    UnsupportedEncodingError,
)

_ROWS = 64  # at a time, so that they stay in the cache

Samples = npt.NDArray[Any]


def decode_tiff(data: bytes, limits: Limits, frame: int) -> Radiograph:
    """Decodes one page of a TIFF. More than 8 bits are stretched between percentiles, as in a PNG.

    Raises:
        SoloError: one of those that `solo.decoding.decode` names.
    """
    pages = [tags for tags in read_directories(data) if is_film(tags)]
    if not pages:
        raise UnsupportedEncodingError("the TIFF has no pages but thumbnails and masks")
    check_frame(frame, len(pages))
    page = TiffPage(pages[frame], limits)
    try:
        samples = _read_samples(page)
    except (SoloError, MemoryError):
        raise
    except Exception:  # its text is the library's
        raise MalformedError("the TIFF cannot be decoded: its data are damaged") from None
    return grey_radiograph(_to_grey(samples, page), "tiff", frame, len(pages))


def _read_samples(page: TiffPage) -> Samples:
    """The values of the page's dtype, [H, W, samples]."""
    rows, columns, together = page.segment_shape
    down, across = page.grid
    read = _read_jpeg if page.compression == JPEG else _read_segment
    if len(page.segments) == 1 and read is _read_segment:  # a copy of it would be much memory
        start, size = page.segments[0]
        return read(page.tags.data[start : start + size], page, page.height)[:, : page.width]
    samples = np.zeros((page.height, page.width, page.samples), page.dtype)
    for index, (start, size) in enumerate(page.segments):
        plane, place = divmod(index, across * down)
        top, left = place // across * rows, place % across * columns
        # Writers may leave out or put in the rows of a strip or tile that are below the image.
        part = read(page.tags.data[start : start + size], page, min(rows, page.height - top))
        samples[top : top + rows, left : left + columns, plane : plane + together] = part[
            :, : page.width - left
        ]
    return samples


def _read_segment(segment: bytes, page: TiffPage, rows: int) -> Samples:
    """Decompresses the rows of a strip or tile that are within the image.

    Returns:
        [rows, columns, samples] of the page's dtype.
    """
    if page.low_bits_first:
        segment = bytes(imagecodecs.bitorder_decode(segment))
    most, columns, together = page.segment_shape
    needed, whole = rows * page.row_bytes, most * page.row_bytes
    stored: Any = segment
    if page.compression == LZW:
        stored = decompress_lzw(segment, (needed, whole))
    elif page.compression != NONE:
        buffer = np.empty(whole + 1, np.uint8)  # with room for a stream that goes on
        stored = getattr(imagecodecs, f"{page.compression}_decode")(segment, out=buffer.data)
    if len(stored) not in (needed, whole):
        raise MalformedError("the TIFF is damaged: a strip or tile lacks pixels or has too many")
    stored = stored[:needed]
    dtype = np.dtype(f"u{page.dtype.itemsize}")
    if page.bits % 8:
        values = imagecodecs.packints_decode(stored, dtype, page.bits, runlen=columns * together)
    else:
        values = np.frombuffer(stored, page.tags.order + dtype.str[1:]).astype(dtype, copy=False)
    values = values.reshape(rows, columns, together)
    if page.differences:
        values = np.cumsum(
            values, axis=1, out=values if values.flags.writeable else None, dtype=dtype
        )
    return values.view(page.dtype)


def _read_jpeg(stored: bytes, page: TiffPage, rows: int) -> Samples:
    """Luminance of a strip or tile that is a JPEG (TIFF Technical Note 2).

    What the streams of a page share lies in one of its own, and goes before.

    Returns:
        uint8 [rows, columns, 1].
    """
    if page.jpeg_tables:
        stored = page.jpeg_tables.removesuffix(JPEG_END) + stored.removeprefix(JPEG_SIGNATURE[:2])
    most, columns, _ = page.segment_shape
    pixels = decode_jpeg(stored, Limits(most * columns), frame=0).pixels
    if pixels.shape not in ((rows, columns), (most, columns)):
        raise MalformedError("a strip or tile of the TIFF has another size than its JPEG")
    return pixels[:rows, :, None]


def _to_grey(samples: Samples, page: TiffPage) -> Grey:
    """Grey [H, W] of [H, W, samples]; alpha, the last of 2 or 4, is dropped."""
    if page.photometric == RGB:
        return as_grey(cv2.cvtColor(as_grey(samples[:, :, :3].copy()), cv2.COLOR_RGB2GRAY))
    values = np.ascontiguousarray(samples[:, :, 0])
    if page.photometric == PALETTE:
        return as_grey(_palette(page)[values])
    if page.bits == 32:
        values = _in_16_bits(values)
    elif page.dtype.kind == "i":
        values = values.view(np.uint16) ^ np.uint16(2**15)
    elif page.bits < 8:
        values *= 255 // (2**page.bits - 1)
    return as_grey(~values if page.photometric == WHITE_IS_ZERO else values)


def _palette(page: TiffPage) -> Samples:
    """The grey of each colour, uint8 [2^bits]."""
    palette = np.array(page.tags.values(Tag.COLOUR_MAP))
    if palette.size != 3 * 2**page.bits:
        raise MalformedError(f"the TIFF has a palette that is not of {2**page.bits} colours")
    # Some writers store 8 bits, which libtiff tells by the same sign.
    rgb = (palette >> (8 if palette.max() > 255 else 0)).reshape(3, 1, -1).T.astype(np.uint8)
    return as_grey(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[:, 0])


def _in_16_bits(values: Samples) -> Grey:
    """Numbers of 32 bits as uint16, cut at the percentiles that 16 bits are stretched between."""
    if not np.isfinite(values).all():
        raise NotSegmentableError("the TIFF has pixels that are no finite numbers")
    percents = (LOW_PERCENT, HIGH_PERCENT)
    low, high = np.percentile(values, percents, method="inverted_cdf").tolist()
    grey = np.empty(values.shape, np.uint16)
    for top in range(0, len(values), _ROWS):
        scaled = np.subtract(values[top : top + _ROWS], low, dtype=np.float64)
        scaled *= 65535 / (high - low or 1)
        grey[top : top + _ROWS] = np.clip(scaled, 0, 65535, out=scaled).round(out=scaled)
    return as_grey(grey)
