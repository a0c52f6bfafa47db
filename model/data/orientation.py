"""Orientation tag of PNG, JPEG and TIFF (EXIF 2.32, 4.6.4 A), which turns a film in viewers."""

from __future__ import annotations

import struct

from solo.decoding.decode import sniff

TURNED_BY_VIEWERS = (
    "an EXIF orientation: viewers and annotation tools turn it, training and the service read it "
    "as stored. Store it as it is shown, without the tag"
)

_ORIENTATION = 0x0112
_AS_STORED = 1
_BLOCKS = {"jpeg": b"Exif\0\0", "png": b"eXIf", "tiff": b""}  # what the tags come after
_BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}


def orientation(content: bytes) -> int:
    """The orientation of a file's first image: 1 as stored, 3 by 180 degrees, 6 and 8 by 90.

    Decoders of training and of the service ignore it, since masks have to fit the stored array;
    browsers, annotation tools and OpenCV's own reader turn the film.
    """
    kind = sniff(content)
    block = _BLOCKS.get(kind or "")
    if block is None or (place := content.find(block)) < 0:
        return _AS_STORED
    tags = memoryview(content)[place + len(block) :]
    order = _BYTE_ORDERS.get(bytes(tags[:4]))
    if order is None:
        return _AS_STORED
    try:
        (start,) = struct.unpack_from(f"{order}I", tags, 4)
        (count,) = struct.unpack_from(f"{order}H", tags, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tags, entry)
            if tag == _ORIENTATION:
                return int(value) if 1 <= value <= 8 else _AS_STORED
    except struct.error:  # the directory is cut off: nobody turns the film
        pass
    return _AS_STORED
