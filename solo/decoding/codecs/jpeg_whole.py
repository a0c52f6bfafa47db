"""JPEG decoding that refuses truncated entropy-coded data.

libjpeg fills what is missing and reports success: a codestream that lost bytes in the middle, and
kept its end marker, would be a film that is partly invented.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from solo.decoding.codecs.jpeg_header import LOSSLESS, PROGRESSIVE, JpegHeader
from solo.decoding.codecs.jpeg_lossless import bits_needed
from solo.decoding.codecs.jpeg_scans import Offsets, Scan, read_scans
from solo.errors import MalformedError, TruncatedError

Samples = npt.NDArray[Any]

_RAN_OUT: Final = "the JPEG's data end before its image does: part of them is missing"
# Whatever these bytes decode to, it is not what libjpeg invents; no marker is among them.
_MORE: Final = bytes((37 * index + 11) % 251 for index in range(256))


def decode_whole(data: bytes, header: JpegHeader, decode: Callable[[bytes], Samples]) -> Samples:
    """Decodes a sequential, progressive or lossless JPEG whose data reach its end.

    Where a segment runs out, libjpeg leaves the rest of it at the middle of the range. If an image
    has that value there, more bytes are added to every segment and it is decoded again: a decoder
    that had come to the end of the image does not look at them, one that had run out does. The
    lossless process needs no second time, since what its samples take can be counted.

    Args:
        data: the file.
        header: its header.
        decode: gives [H, W] or [H, W, components] of a file.

    Raises:
        TruncatedError: if data are missing before the end of the image.
        MalformedError: if the markers between them are not what they should be.
    """
    scans = read_scans(data, header)
    samples = decode(data)
    if samples.shape[:2] != (header.height, header.width):
        raise MalformedError("the JPEG holds other pixels than its header says")
    if header.marker == LOSSLESS and samples.ndim == 2:
        _check_bits(data, scans[0], bits_needed(samples, header.precision, scans[0]))
    elif _may_have_run_out(samples, header, scans) and not np.array_equal(
        samples, decode(_with_more(data, scans))
    ):
        raise TruncatedError(_RAN_OUT)
    return samples


def _check_bits(data: bytes, scan: Scan, needed: Offsets) -> None:
    """Each segment has the bits that its samples take, and less than a byte more.

    Where whole bytes follow, some are left that were to be samples, unless a writer filled up with
    one bit.
    """
    left = 8 * scan.coded_bytes - needed
    if np.any(left < 0):
        raise TruncatedError(_RAN_OUT)
    for (begin, end), count in zip(scan.segments.tolist(), (left // 8).tolist(), strict=True):
        rest = data[max(begin, end - 2 * count) : end].replace(b"\xff\0", b"\xff")[-count:]
        if count and rest.strip(b"\0") and rest.strip(b"\xff"):
            raise MalformedError("the JPEG has more data than its image takes: they are damaged")


def _may_have_run_out(samples: Samples, header: JpegHeader, scans: list[Scan]) -> bool:
    """Whether a segment's last unit may be libjpeg's own, by one pixel of each.

    Where several scans make a pixel, or four inks, that cannot be told from the pixel.
    """
    if (
        header.marker in (PROGRESSIVE, LOSSLESS)
        or len(scans) > 1
        or header.components not in (1, 3)
    ):
        return True
    scan = scans[0]
    rows, columns = scan.units
    last = np.minimum(np.arange(1, len(scan.segments) + 1) * scan.interval, rows * columns) - 1
    height, width = scan.unit_size
    # Away from the unit's edges, where the colours of its neighbours are mixed in.
    y = np.minimum(last // columns * height + height // 2, header.height - 1)
    x = np.minimum(last % columns * width + width // 2, header.width - 1)
    middle = 1 << (header.precision - 1)
    ends = samples[y, x].reshape(len(last), -1)
    return bool((ends == middle).all(axis=1).any())


def _with_more(data: bytes, scans: list[Scan]) -> bytes:
    """The same file with more bytes at the end of each entropy-coded segment."""
    pieces, start = list[bytes](), 0
    for end in (int(end) for scan in scans for end in scan.segments[:, 1]):
        while data[end - 1] == 0xFF:  # fills the space before the marker
            end -= 1
        pieces += [data[start:end], _MORE]
        start = end
    return b"".join([*pieces, data[start:]])
