"""Bit count of a lossless JPEG's samples, to find truncated data (ITU-T T.81, Annex H).

libjpeg goes on with zero bits where a segment has none left, and reports success. Its samples then
take more bits than there are: differences from the prediction, each with the code of its category
and as many bits as that has.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from solo.decoding.codecs.jpeg_scans import Offsets, Scan

Words = npt.NDArray[np.uint16]

_NO_CODE: Final = 255  # more than any code takes
_ROWS: Final = 64  # at a time, so that they stay in the cache


def bits_needed(samples: npt.NDArray[np.generic], precision: int, scan: Scan) -> Offsets:
    """Bits of each entropy-coded segment that decodes to the samples of one component.

    Args:
        samples: uint8 or uint16 [H, W], decoded.
        precision: bits of a sample.
        scan: the only one.

    Returns:
        int64, one for each segment of whole rows.
    """
    height, width = samples.shape
    rows = scan.interval // width
    costs = _costs(scan.code_lengths)
    needed = [
        _segment_bits(samples[top : top + rows], precision, scan, costs)
        for top in range(0, height, rows)
    ]
    return np.array(needed, np.int64)


def _segment_bits(
    samples: npt.NDArray[np.generic], precision: int, scan: Scan, costs: npt.NDArray[np.uint8]
) -> int:
    """Prediction starts anew with each segment (H.1.2.1)."""
    bits = 0
    for top in range(0, len(samples), _ROWS):
        above = max(top - 1, 0)
        block = samples[above : top + _ROWS].astype(np.uint16, copy=False)
        if scan.shift:
            block = block >> np.uint16(scan.shift)
        differences = np.empty_like(block)
        differences[1:, 0] = block[1:, 0] - block[:-1, 0]
        np.subtract(block[1:, 1:], _predicted(block, scan.predictor), out=differences[1:, 1:])
        if top == 0:  # the first row is predicted along itself, from the middle of the range
            differences[0, 0] = (int(block[0, 0]) - (1 << (precision - scan.shift - 1))) & 0xFFFF
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


def _costs(code_lengths: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """Bits of each difference modulo 2^16: uint8 [65536]."""
    magnitudes = np.abs(np.arange(65536).astype(np.uint16).view(np.int16).astype(np.int32))
    categories = np.frexp(magnitudes)[1]  # the number of bits
    lengths = np.array([*code_lengths, *[0] * 17][:17])
    # The largest category has one member, and no bits beside its code (H.1.2.2).
    costs = np.where(lengths, lengths + np.arange(17) * (np.arange(17) < 16), _NO_CODE)
    table: npt.NDArray[np.uint8] = costs[categories].astype(np.uint8)
    return table
