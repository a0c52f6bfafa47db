"""Deflate decompression of TIFF strips and tiles (compressions 8 and 32946).

libtiff is not asked for them. Where a damaged stream is longer than its strip or tile, libtiff
leaves the last bytes of it unwritten and reports success: the image would end with whatever lay in
memory, such as a part of the film before.
"""

from __future__ import annotations

from typing import Final

import imagecodecs
import numpy as np
import numpy.typing as npt

from solo.contract.greyscale import Grey, as_grey
from solo.decoding.tiff_header import TiffHeader
from solo.errors import MalformedError

_NO_PREDICTOR: Final = 1
_HORIZONTAL_DIFFERENCING: Final = 2


def decode_deflated(data: bytes, header: TiffHeader) -> Grey:
    """Inflates the strips or tiles and assembles the image.

    A strip may hold rows beyond the image's last one, up to those of a whole strip: some writers
    fill up the last.

    Args:
        data: the file.
        header: its header, with `deflated`.

    Returns:
        uint8 or uint16 [height, width, samples].

    Raises:
        imagecodecs.DeflateError: for a stream that is damaged or longer than its strip or tile.
        MalformedError: for one that is shorter, or another predictor.
    """
    if header.predictor not in (_NO_PREDICTOR, _HORIZONTAL_DIFFERENCING):
        raise MalformedError(f"the TIFF has predictor {header.predictor}; only 1 and 2 are read")
    stored = np.dtype(header.sample_type)
    image = np.zeros((header.height, header.width, header.samples), stored.newbyteorder("="))
    rows, columns = header.segment_size
    across = -(-header.width // columns)
    row_bytes = columns * header.samples * stored.itemsize
    buffer = np.empty(rows * row_bytes, np.uint8)
    for index, (start, size) in enumerate(header.segments):
        top, left = index // across * rows, index % across * columns
        present = min(rows, header.height - top)
        segment = data[start : start + size]
        if _inflate(segment, header, buffer) < present * row_bytes:
            raise MalformedError("the TIFF cannot be decoded: its data are damaged")
        samples = buffer[: present * row_bytes].view(stored).reshape(present, columns, -1)
        if header.predictor == _HORIZONTAL_DIFFERENCING:
            samples = np.cumsum(samples, axis=1, dtype=image.dtype)
        image[top : top + rows, left : left + columns] = samples[:, : header.width - left]
    return as_grey(image)


def _inflate(segment: bytes, header: TiffHeader, buffer: npt.NDArray[np.uint8]) -> int:
    """Fills the buffer from its start; how many bytes there were."""
    if header.low_bits_first:
        segment = bytes(imagecodecs.bitorder_decode(segment))
    return len(imagecodecs.deflate_decode(segment, out=buffer.data))
