"""TIFF decoding: grey, palette or RGB of 8 or 16 bits, in a lossless compression.

What `tiff_header` has found in order is decoded by `tiff_deflate`, or else by libtiff. Orientation
and further pages are ignored.
"""

from __future__ import annotations

import cv2
import imagecodecs
import numpy as np

from solo.contract.greyscale import Grey, as_grey
from solo.decoding.codecs.memory import check_memory
from solo.decoding.radiograph import Limits, Radiograph
from solo.decoding.raster import grey_radiograph, refuse_other_frames
from solo.decoding.tiff_deflate import decode_deflated
from solo.decoding.tiff_header import TiffHeader, read_tiff_header
from solo.errors import MalformedError, SoloError


def decode_tiff(data: bytes, limits: Limits, frame: int) -> Radiograph:
    """Decodes the first image of a TIFF. 16 bits are stretched between percentiles, as in a PNG.

    Raises:
        SoloError: one of those that `solo.decoding.decode` names.
    """
    refuse_other_frames(frame)
    header = read_tiff_header(data, limits)
    try:
        stored = (
            decode_deflated(data, header)
            if header.deflated
            else imagecodecs.tiff_decode(data, index=0)
        )
    except (SoloError, MemoryError):
        raise
    except Exception as error:  # its text is the library's
        check_memory(error)
        raise MalformedError("the TIFF cannot be decoded: its data are damaged") from None
    samples = as_grey(stored).reshape(*stored.shape[:2], -1)
    if samples.shape != (header.height, header.width, header.samples):
        raise MalformedError("the TIFF holds other pixels than its header says")
    return grey_radiograph(_to_grey(samples, header), "tiff")


def _to_grey(samples: Grey, header: TiffHeader) -> Grey:
    """Grey [H, W] of [H, W, samples]; alpha, the last of 2 or 4, is dropped."""
    if header.palette:
        colours = (np.array(header.palette).reshape(1, 3, 256) >> 8).astype(np.uint8)
        greys = cv2.cvtColor(np.moveaxis(colours, 1, 2), cv2.COLOR_RGB2GRAY)
        return as_grey(greys[0][samples[:, :, 0]])
    if header.samples >= 3:
        return as_grey(cv2.cvtColor(as_grey(samples[:, :, :3].copy()), cv2.COLOR_RGB2GRAY))
    first = samples[:, :, 0]
    return as_grey(np.ascontiguousarray(~first if header.white_is_zero else first))
