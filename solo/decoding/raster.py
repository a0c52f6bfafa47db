"""PNG and JPEG decoding, with OpenCV and libjpeg-turbo.

What a header promises is checked first, since a few hundred bytes may ask for
gigabytes. Orientation tags are ignored: masks must fit the array that the caller has.
"""

from __future__ import annotations

from functools import partial

import cv2
import numpy as np
import numpy.typing as npt

from solo.contract.greyscale import Grey, as_grey, luminance, stretch_table
from solo.decoding.codecs.jpeg import decode_jpeg as decode_codestream
from solo.decoding.codecs.jpeg_header import LOSSY, read_jpeg_header
from solo.decoding.png_chunks import pixel_chunks, png_size
from solo.decoding.radiograph import (
    FileKind,
    GreyRecipe,
    Limits,
    Radiograph,
    RadiographInfo,
    check_frame,
)
from solo.decoding.stored_pixels import as_stored, raw_pixels, stretched
from solo.errors import MalformedError, UnsupportedEncodingError


def decode_png(data: bytes, limits: Limits, frame: int) -> Radiograph:
    """Decodes a PNG. 8 bits are grey as stored; 16 bits are stretched between percentiles.

    Files of 16 bits mostly hold the 10 to 14 bits of a detector and would be nearly black.

    Raises:
        SoloError: one of those that `solo.decoding.decode` names.
    """
    check_frame(frame, 1)
    height, width = png_size(data)
    limits.check(height, width)
    chunks = pixel_chunks(data)
    try:
        pixels = cv2.imdecode(np.frombuffer(chunks, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.shape[:2] != (height, width):
        raise MalformedError("the PNG cannot be decoded: its data are damaged")
    return grey_radiograph(luminance(as_grey(pixels)), "png")


def decode_jpeg(data: bytes, limits: Limits, frame: int) -> Radiograph:
    """Decodes a JPEG of 8 bits, whose values are grey as stored.

    Raises:
        SoloError: one of those that `solo.decoding.decode` names.
    """
    check_frame(frame, 1)
    header = read_jpeg_header(data)
    limits.check(header.height, header.width)
    if header.marker not in LOSSY or header.precision != 8:
        raise UnsupportedEncodingError(
            f"{header.process} with {header.precision} bits is not supported: only baseline, "
            "extended and progressive JPEG with 8 bits are"
        )
    pixels = decode_codestream(data, header, as_stored=False)
    return grey_radiograph(luminance(as_grey(pixels)), "jpeg")


def grey_radiograph(pixels: Grey, kind: FileKind, frame: int = 0, frames: int = 1) -> Radiograph:
    """The radiograph of a PNG, JPEG or TIFF, which has no window and no pixel spacing.

    Args:
        pixels: uint8 [H, W], grey as stored, or uint16 [H, W], to be stretched.
        kind: the file's format.
        frame: which of the file's frames it is.
        frames: how many there are.
    """
    recipe: GreyRecipe = "as_stored" if pixels.dtype == np.uint8 else "percentiles"
    height, width = pixels.shape
    info = RadiographInfo(
        height, width, frame, frames, grey=recipe, pixel_spacing=None, kind=kind, encoding=kind
    )
    if recipe == "as_stored":
        return Radiograph(pixels, info, partial(as_stored, pixels))
    table, low, high = stretch_table(pixels)
    stored = partial(raw_pixels, pixels, table, stretched(low, high))
    return Radiograph(as_grey(cv2.LUT(pixels, table)), info, stored)


def radiograph_of(pixels: npt.NDArray[np.generic], limits: Limits, frame: int = 0) -> Radiograph:
    """A radiograph of pixels that are in memory already.

    Args:
        pixels: uint8 or uint16 [H, W], or [H, W, 3] in the order red, green, blue.
        limits: what it may ask for.
        frame: has to be 0.

    Raises:
        MalformedError: for an array of another shape or dtype, or without pixels.
        ImageTooLargeError: above the pixel limit.
        InvalidParameterError: for another frame.
    """
    check_frame(frame, 1)
    grey = pixels.ndim == 2
    if not (grey or (pixels.ndim == 3 and pixels.shape[2] == 3)) or not pixels.size:
        raise MalformedError(
            f"pixels are [height, width] or [height, width, 3], not {list(pixels.shape)}"
        )
    if pixels.dtype.kind != "u" or pixels.dtype.itemsize > 2:
        raise MalformedError(f"pixels are uint8 or uint16, not {pixels.dtype}")
    limits.check(*pixels.shape[:2])
    ours = as_grey(np.ascontiguousarray(pixels))
    if not grey:
        ours = as_grey(cv2.cvtColor(ours, cv2.COLOR_RGB2GRAY))
    return grey_radiograph(ours, "array")
