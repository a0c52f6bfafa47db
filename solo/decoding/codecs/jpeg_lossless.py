"""Bit count of a lossless JPEG's samples, to find missing data (ITU-T T.81, Annex H).

libjpeg goes on with zero bits where a segment has none left, and passes over some that are too
many. The samples then take more bits than there are, or fewer: differences from the prediction,
each with the code of its category and as many bits as that has.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from solo.decoding.codecs.jpeg_header import JpegHeader
from solo.errors import MalformedError, TruncatedError

Words = npt.NDArray[np.uint16]

_HUFFMAN_TABLES: Final = 0xC4
_RESTART_INTERVAL: Final = 0xDD
_FIRST_RESTART: Final = 0xD0
_RESTARTS: Final = 8
_NO_CODE: Final = 255  # more than any code takes
_ROWS: Final = 64  # at a time, so that they stay in the cache


def check_bits(data: bytes, header: JpegHeader, samples: npt.NDArray[np.generic]) -> None:
    """Checks that each entropy-coded segment has the bits that its samples take.

    Where more than a byte is left over, some of it was to be samples, unless a writer filled up
    with one bit.

    Args:
        data: a lossless JPEG of one component.
        header: its header.
        samples: uint8 or uint16 [H, W], decoded from it.

    Raises:
        TruncatedError: if a segment has too few.
        MalformedError: if it has too many, or restart markers are missing.
    """
    tables: dict[int, dict[int, int]] = {}
    interval = 0
    for marker, contents, _ in header.segments:
        if marker == _HUFFMAN_TABLES:
            tables |= _code_lengths(contents)
        elif marker == _RESTART_INTERVAL:
            interval = int.from_bytes(contents[:2], "big")
    _, scan, start = header.segments[-1]
    costs, predictor = _costs(tables.get(scan[2] >> 4, {})), scan[3]
    if shift := scan[5] & 0x0F:  # low bits that are not coded
        samples = samples.astype(np.uint16, copy=False) >> np.uint16(shift)
    middle = 1 << (header.precision - shift - 1)  # from which the first sample is predicted
    height, width = samples.shape
    rows = interval // width or height
    tops = range(0, height, rows)
    for top, (begin, end, coded) in zip(tops, _segments(data, start, len(tops)), strict=True):
        left = 8 * coded - _segment_bits(samples[top : top + rows], predictor, middle, costs)
        if left < 0:
            raise TruncatedError("the JPEG's data end before its image does: part is missing")
        count = left // 8
        rest = data[max(begin, end - 2 * count) : end].replace(b"\xff\0", b"\xff")[-count:]
        if count and rest.strip(b"\0") and rest.strip(b"\xff"):
            raise MalformedError("the JPEG has more data than its image takes: they are damaged")


def _segments(data: bytes, start: int, count: int) -> list[tuple[int, int, int]]:
    """Begin, end and bytes of code of each entropy-coded segment; restarts lie between them."""
    octets = np.frombuffer(data, np.uint8)
    prefixes = start + np.flatnonzero(octets[start:-1] == 0xFF)
    after = octets[prefixes + 1]
    ends = prefixes[(after != 0) & (after != 0xFF)][:count]
    restarts = _FIRST_RESTART + np.arange(count - 1) % _RESTARTS
    if not np.array_equal(octets[ends[:-1] + 1], restarts):
        raise MalformedError("the JPEG's restart markers are not in order: data are missing")
    begins = np.append(start, ends[:-1] + 2)
    zeros = prefixes[after == 0]  # stuffed after 0xFF (B.1.1.5)
    coded = ends - begins - np.searchsorted(zeros, ends) + np.searchsorted(zeros, begins)
    return list(zip(begins.tolist(), ends.tolist(), coded.tolist(), strict=True))


def _code_lengths(contents: bytes) -> dict[int, dict[int, int]]:
    """Huffman tables (B.2.4.2): bits of each category's code, by the table's number."""
    tables = {}
    while len(contents) >= 17:
        counts, symbols = contents[1:17], contents[17:]
        lengths = [length for length, count in enumerate(counts, 1) for _ in range(count)]
        tables[contents[0]] = dict(zip(symbols, lengths, strict=False))
        contents = symbols[len(lengths) :]
    return tables


def _segment_bits(
    samples: npt.NDArray[np.generic], predictor: int, middle: int, costs: npt.NDArray[np.uint8]
) -> int:
    """Bits of a segment, with which prediction starts anew (H.1.2.1)."""
    bits = 0
    for top in range(0, len(samples), _ROWS):
        above = max(top - 1, 0)
        block = samples[above : top + _ROWS].astype(np.uint16, copy=False)
        differences = np.empty_like(block)
        differences[1:, 0] = block[1:, 0] - block[:-1, 0]
        np.subtract(block[1:, 1:], _predicted(block, predictor), out=differences[1:, 1:])
        if top == 0:  # the first row is predicted along itself, from the middle of the range
            differences[0, 0] = (int(block[0, 0]) - middle) & 0xFFFF
            differences[0, 1:] = block[0, 1:] - block[0, :-1]
        else:
            differences = differences[1:]
        bits += int(cv2.sumElems(cv2.LUT(differences, costs))[0])
    return bits


def _predicted(block: Words, predictor: int) -> Words:
    """Table H.1: from the samples to the left, above, and above to the left; modulo 2^16."""
    left, above, corner = block[1:, :-1], block[:-1, 1:], block[:-1, :-1]
    match predictor:
        case 1:
            return left
        case 2:
            return above
        case 3:
            return corner
        case 4:
            return left + above - corner
    a, b, c = (part.astype(np.int32) for part in (left, above, corner))
    wide = {5: a + ((b - c) >> 1), 6: b + ((a - c) >> 1)}.get(predictor, (a + b) >> 1)
    return (wide & 0xFFFF).astype(np.uint16)


def _costs(code_lengths: dict[int, int]) -> npt.NDArray[np.uint8]:
    """Bits of each difference modulo 2^16: uint8 [65536]."""
    costs = np.full(17, _NO_CODE, np.uint8)
    for category, length in code_lengths.items():
        # The largest category has one member, and no bits beside its code (H.1.2.2).
        if category <= 16:
            costs[category] = length + category % 16
    magnitudes = np.abs(np.arange(65536).astype(np.uint16).view(np.int16).astype(np.int32))
    categories = np.frexp(magnitudes)[1]  # the number of bits
    return costs[categories]
