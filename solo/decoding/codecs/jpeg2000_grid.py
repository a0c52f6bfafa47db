"""Precincts and code blocks of a JPEG 2000 image (ITU-T T.800, Annex B), counted before decoding.

Decoders keep half a kilobyte of each before the first is decoded, and go through every layer of
every precinct. A film of 50 megapixels has some 12,000 code blocks.
"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np
import numpy.typing as npt

from solo.errors import MalformedError

_MAX_PRECINCTS: Final = 100_000
_MAX_CODE_BLOCKS: Final = 500_000
_MAX_PACKETS: Final = 2_000_000  # layers of precincts
_MAX_STYLES: Final = 64  # each of which is counted
_MAX_LEVELS: Final = 32
_DAMAGED: Final = "the JPEG 2000 codestream's header is damaged"

Edges = npt.NDArray[np.int64]


def check_grid(size: bytes | memoryview, defaults: list[bytes], of_components: list[bytes]) -> None:
    """Refuses an image that is cut into more parts than any film is.

    Args:
        size: contents of its SIZ segment (A.5.1).
        defaults: contents of all COD segments (A.6.1), of tiles too.
        of_components: contents of all COC segments (A.6.2).

    Raises:
        MalformedError: for such an image, or a damaged segment.
    """
    right, bottom, left, top, width, height, tile_left, tile_top, components = struct.unpack_from(
        ">2x8IH", size
    )
    rows, columns = _edges(top, bottom, tile_top, height), _edges(left, right, tile_left, width)
    place = 1 if components < 257 else 2
    if min(map(len, defaults)) < 6 or any(len(style) < place + 2 for style in of_components):
        raise MalformedError(_DAMAGED)
    styles = {(style[0] & 1, style[5:]) for style in defaults}
    styles |= {(style[place] & 1, style[place + 1 :]) for style in of_components}
    layers = max(int.from_bytes(style[2:4], "big") for style in defaults)
    if len(styles) > _MAX_STYLES:
        raise MalformedError(f"the JPEG 2000 image has more than {_MAX_STYLES} coding styles")
    for sized, style in styles:
        precincts, blocks = (components * count for count in _counts(rows, columns, sized, style))
        if (
            precincts > _MAX_PRECINCTS
            or blocks > _MAX_CODE_BLOCKS
            or precincts * layers > _MAX_PACKETS
        ):
            raise MalformedError(
                f"the JPEG 2000 image has {precincts:,} precincts of {layers:,} layers and "
                f"{blocks:,} code blocks; at most {_MAX_PRECINCTS:,} precincts, {_MAX_PACKETS:,} "
                f"with their layers, and {_MAX_CODE_BLOCKS:,} code blocks may be"
            )


def _counts(rows: Edges, columns: Edges, sized: int, style: bytes) -> tuple[int, int]:
    """Precincts and code blocks of a component in all tiles (B.6, B.7)."""
    levels = style[0]
    if levels > _MAX_LEVELS or len(style) < 5 + sized * (levels + 1):
        raise MalformedError(_DAMAGED)
    precincts = blocks = 0
    for resolution in range(levels + 1):
        high = resolution > 0  # of three bands, each half as large, and not of one
        down = levels - resolution
        exponents = divmod(style[5 + resolution], 16) if sized else (15, 15)
        block = [
            min((code & 15) + 2, max(exponent - high, 0))
            for code, exponent in zip((style[2], style[1]), exponents, strict=True)
        ]
        precincts += _cells(rows, down, exponents[0]) * _cells(columns, down, exponents[1])
        parts = _cells(rows, down + high, block[0]) * _cells(columns, down + high, block[1])
        blocks += (1 + 2 * high) * parts
    return precincts, blocks


def _edges(start: int, end: int, first: int, step: int) -> Edges:
    """Where tiles begin along one side of the image, and where the last ends (B.3)."""
    return np.clip(first + step * np.arange(-(-(end - first) // step) + 1), start, end)


def _cells(edges: Edges, halvings: int, exponent: int) -> int:
    """Cells of 2^exponent that tiles touch along one side, after so many halvings."""
    edges = -(-edges >> halvings)
    return int((-(-edges[1:] >> exponent) - (edges[:-1] >> exponent)).sum())
