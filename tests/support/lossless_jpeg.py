"""A plain encoder of lossless JPEG (ITU-T T.81, Annex H), which can restart and shift."""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt

# The code of each of the 17 categories: two bits for three of them, then one more for each. All
# bit strings but the one of ones begin with a code, as with the tables of real encoders.
_CODES = ["00", "01", "10", *("1" * length + "0" for length in range(2, 16))]


def lossless_jpeg(
    samples: npt.NDArray[np.uint16],
    precision: int,
    predictor: int = 1,
    shift: int = 0,
    restart_rows: int = 0,
) -> bytes:
    """Encodes one component.

    Args:
        samples: uint16 [H, W].
        precision: bits of a sample.
        predictor: 1 to 7.
        shift: low bits that are dropped.
        restart_rows: rows between restart markers; 0 for none.
    """
    height, width = samples.shape
    table = bytes([0, 0, 3, *[1] * 14, *range(17)])
    frame = struct.pack(">BHHBBBB", precision, height, width, 1, 1, 0x11, 0)
    segments = [(0xC3, frame), (0xC4, table)]
    if restart_rows:
        segments.append((0xDD, struct.pack(">H", restart_rows * width)))
    segments.append((0xDA, bytes([1, 1, 0, predictor, 0, shift])))
    head = b"".join(
        bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body for marker, body in segments
    )
    step = restart_rows or height
    coded = b""
    for index, top in enumerate(range(0, height, step)):
        if index:
            coded += bytes([0xFF, 0xD0 + (index - 1) % 8])
        coded += _coded(samples[top : top + step] >> np.uint16(shift), precision - shift, predictor)
    return b"\xff\xd8" + head + coded + b"\xff\xd9"


def _coded(samples: npt.NDArray[np.uint16], precision: int, predictor: int) -> bytes:
    rows = samples.tolist()
    bits = ""
    for y, row in enumerate(rows):
        for x, sample in enumerate(row):
            difference = sample - _predicted(rows, y, x, precision, predictor)
            difference = (difference + 32767) % 65536 - 32767
            category = abs(difference).bit_length()
            bits += _CODES[category]
            if 0 < category < 16:
                extra = difference if difference > 0 else difference + (1 << category) - 1
                bits += f"{extra:0{category}b}"
    bits += "1" * (-len(bits) % 8)
    octets = bytes(int(bits[start : start + 8], 2) for start in range(0, len(bits), 8))
    return octets.replace(b"\xff", b"\xff\0")


def _predicted(rows: list[list[int]], y: int, x: int, precision: int, predictor: int) -> int:
    if y == 0:
        return rows[0][x - 1] if x else 1 << (precision - 1)
    if x == 0:
        return rows[y - 1][0]
    a, b, c = rows[y][x - 1], rows[y - 1][x], rows[y - 1][x - 1]
    choices = (a, b, c, a + b - c, a + ((b - c) >> 1), b + ((a - c) >> 1), (a + b) >> 1)
    return choices[predictor - 1]
