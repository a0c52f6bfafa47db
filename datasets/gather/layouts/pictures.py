"""Pictures of a layout: which files are any, the size of a film, the values of a mask."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from model.data.annotation_file import is_clutter
from model.data.coco_values import MOST_PIXELS
from solo.decoding.codecs.jpeg_header import read_jpeg_header
from solo.decoding.decode import decode, sniff
from solo.decoding.png_chunks import pixel_chunks, png_size
from solo.decoding.radiograph import Limits
from solo.errors import SoloError

Size = tuple[int, int]
_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm", ".dicom")
_LIMITS = Limits(MOST_PIXELS)


def pictures(folder: Path) -> Iterator[Path]:
    """The files below a folder that are films by their endings, or DICOM files, in order."""
    for path in sorted(folder.rglob("*")):
        below = path.relative_to(folder)
        if any(map(is_clutter, below.parts)) or not path.is_file():
            continue
        if path.suffix.lower() in _ENDINGS or _is_dicom(path):
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
    """The values of a label map or mask, colours as 0xRRGGBB, without what makes films visible.

    Args:
        content: of a PNG file, of whatever depth; a palette's entries are their colours.
        size: that it has to be of, which bounds what is decoded.

    Returns:
        uint32 [height, width].

    Raises:
        ValueError: if it is none that can be read, or is of another size.
    """
    if sniff(content) != "png":
        raise ValueError("it is no PNG file, as masks have to be")
    try:
        given = png_size(content)
        if given != size:
            raise ValueError(f"it is of {given[0]} x {given[1]} pixels, not {size[0]} x {size[1]}")
        _LIMITS.check(*given)
        chunks = np.frombuffer(pixel_chunks(content), np.uint8)
        values = cv2.imdecode(chunks, cv2.IMREAD_UNCHANGED)
    except (SoloError, cv2.error):
        values = None
    if values is None or values.shape[:2] != size:
        raise ValueError("it cannot be decoded: its data are damaged")
    if values.ndim == 2:
        return np.asarray(values, np.uint32)
    blue, green, red = (np.asarray(values[..., c], np.uint32) for c in range(3))
    if (blue == green).all() and (green == red).all():
        return red
    return np.asarray((red << 16) | (green << 8) | blue, np.uint32)


def as_rle(mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """A mask [height, width] as COCO's compressed run lengths."""
    rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode()}
