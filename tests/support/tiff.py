"""TIFF files for tests, written by hand: what no writer here would write."""

from __future__ import annotations

import struct
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

SHORT, LONG = 3, 4


def by_hand(
    pixels: npt.NDArray[Any],
    *,
    order: Literal["<", ">"] = "<",
    stored: bytes | None = None,
    **tags: int | tuple[int, ...],
) -> bytes:
    """A TIFF of one strip whose pixels come last.

    Args:
        pixels: [H, W] or [H, W, samples].
        order: byte order.
        stored: the strip; None for the pixels as they are.
        **tags: values in place of the defaults, `t258=(8, 8, 8)`.
    """
    height, width, samples = (*pixels.shape, 1)[:3]
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes() if stored is None else stored
    values: dict[int, tuple[int, ...]] = {
        256: (width,),
        257: (height,),
        258: (8 * pixels.dtype.itemsize,) * samples,
        259: (1,),
        262: (2 if samples >= 3 else 1,),
        273: (0,),
        277: (samples,),
        278: (height,),
        279: (len(data),),
    }
    values |= {
        int(tag[1:]): value if isinstance(value, tuple) else (value,) for tag, value in tags.items()
    }
    start = 8 + 2 + 12 * len(values) + 4
    extra = b""
    entries = []
    for tag, value in sorted(values.items()):
        packed = struct.pack(f"{order}{len(value)}H", *value) if tag in (258, 320) else b""
        if len(packed) > 4:
            entry = struct.pack(f"{order}HHII", tag, SHORT, len(value), start + len(extra))
            extra += packed
        elif packed:
            entry = struct.pack(f"{order}HHI4s", tag, SHORT, len(value), packed)
        else:
            entry = struct.pack(f"{order}HHII", tag, LONG, 1, value[0])
        entries.append((tag, entry))
    if "t273" not in tags:
        place = struct.pack(f"{order}HHII", 273, LONG, 1, start + len(extra))
        entries = [(tag, place if tag == 273 else entry) for tag, entry in entries]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    directory = struct.pack(f"{order}H", len(entries)) + b"".join(one for _, one in entries)
    return head + directory + bytes(4) + extra + data


def packed(values: npt.NDArray[Any], bits: int) -> bytes:
    """Rows of values in so many bits each, the most significant first; each row fills its bytes."""
    rows = (values[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(rows.reshape(len(values), -1).astype(np.uint8), axis=1).tobytes()
