"""Pictures of a layout: which files are any, the size of a film, the values of a mask."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from model.data.coco_files import walk
from model.data.coco_values import MOST_PIXELS
from solo.decoding.codecs.jpeg_header import read_jpeg_header
from solo.decoding.decode import decode, sniff
from solo.decoding.png_chunks import pixel_chunks, png_size
from solo.decoding.radiograph import Limits
from solo.errors import SoloError

Size = tuple[int, int]
ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom")
_LIMITS = Limits(MOST_PIXELS)
_DEPTH, _COLOUR_TYPE, _PALETTE = 24, 25, 3  # bytes of a PNG's header (ISO/IEC 15948, 11.2.2)
_SCALES = {1: 255, 2: 85, 4: 17, 8: 1}  # of greys of fewer bits, as libpng gives them
_DAMAGED = "it cannot be decoded: its data are damaged"


def pictures(folder: Path) -> Iterator[Path]:
    """The files below a folder that are films by their endings, or DICOM files, in order."""
    for path in sorted(walk(folder)):
        if path.is_file() and (path.suffix.lower() in ENDINGS or _is_dicom(path)):
            yield path


def _is_dicom(path: Path) -> bool:
    """Whether a file of whatever name is one: archives call films by numbers."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def film_size(content: bytes) -> Size:
    """(height, width) of a film's file; only of PNG and JPEG is the header enough.

    Raises:
        ValueError: if it cannot be read.
    """
    try:
        match sniff(content):
            case "png":
                return png_size(content)
            case "jpeg":
                header = read_jpeg_header(content)
                return header.height, header.width
            case _:
                height, width = decode(content, _LIMITS).pixels.shape
                return height, width
    except SoloError as error:
        raise ValueError(f"it cannot be decoded: {error.detail}") from None


def read_labels(content: bytes, size: Size) -> npt.NDArray[np.uint32]:
    """The values of a label map or mask, without what makes films visible.

    A palette's entries are their numbers, since people see to it that 0 is the background but not
    that it is black; greys are their values, other colours 0xRRGGBB. What is clear is 0, and where
    all is black the opaque pixels are 1.

    Args:
        content: of a PNG file, of whatever depth.
        size: that it has to be of, which bounds what is decoded.

    Returns:
        uint32 [height, width].

    Raises:
        ValueError: if it is none that can be read, or is of another size.
    """
    chunks = _checked_chunks(content, size)
    if chunks[_COLOUR_TYPE] == _PALETTE:
        return _decoded(_without_palette(chunks), size) // _SCALES[chunks[_DEPTH]]
    values = _decoded(chunks, size)
    if values.ndim == 2:
        return values
    labels = _colours(values)
    blue, green, red = (values[..., channel] for channel in range(3))
    if (blue == green).all() and (green == red).all():
        labels = red.copy()
    if values.shape[2] == 4:
        clear = 2 * values[..., 3] < values[..., 3].max()
        if clear.any() and not labels.any():
            labels[:] = 1
        labels[clear] = 0
    return labels


def read_colours(content: bytes, size: Size) -> npt.NDArray[np.uint32]:
    """The colours of a picture or palette as 0xRRGGBB; of one channel its values.

    Args:
        content: of a PNG file.
        size: as for `read_labels`.

    Raises:
        ValueError: as `read_labels`.
    """
    values = _decoded(_checked_chunks(content, size), size)
    return values if values.ndim == 2 else _colours(values)


def _checked_chunks(content: bytes, size: Size) -> bytes:
    if sniff(content) != "png":
        raise ValueError("it is no PNG file, as masks have to be")
    try:
        given = png_size(content)
        if given != size:
            raise ValueError(f"it is of {given[0]} x {given[1]} pixels, not {size[0]} x {size[1]}")
        _LIMITS.check(*given)
        return pixel_chunks(content)
    except SoloError:
        raise ValueError(_DAMAGED) from None


def _without_palette(chunks: bytes) -> bytes:
    """The same PNG with the numbers of its palette as greys."""
    head = bytearray(chunks[8:33])
    head[_COLOUR_TYPE - 8] = 0
    head[-4:] = struct.pack(">I", zlib.crc32(head[4:-4]))
    return chunks[:8] + head + chunks[chunks.index(b"IDAT") - 4 :]


def _decoded(chunks: bytes, size: Size) -> npt.NDArray[np.uint32]:
    try:
        values = cv2.imdecode(np.frombuffer(chunks, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        values = None
    if values is None or values.shape[:2] != size:
        raise ValueError(_DAMAGED)
    return np.asarray(values, np.uint32)


def _colours(values: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    return np.asarray((values[..., 2] << 16) | (values[..., 1] << 8) | values[..., 0], np.uint32)


def as_rle(mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """A mask [height, width] as COCO's compressed run lengths."""
    rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode()}
