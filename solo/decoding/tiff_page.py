"""Page of a TIFF: what its pixels are and where they lie (TIFF 6.0, sections 3 to 10, 14 and 15).

All that will be decompressed is known and bounded before it is.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final

import numpy as np

from solo.decoding.radiograph import Limits
from solo.decoding.tiff_header import Directory
from solo.errors import MalformedError, TruncatedError, UnsupportedEncodingError

Tag = IntEnum("Tag", {
    "NEW_SUBFILE_TYPE": 254, "SUBFILE_TYPE": 255, "WIDTH": 256, "HEIGHT": 257, "BITS": 258,
    "COMPRESSION": 259, "PHOTOMETRIC": 262, "FILL_ORDER": 266, "STRIP_OFFSETS": 273,
    "SAMPLES": 277, "ROWS_PER_STRIP": 278, "STRIP_BYTES": 279, "PLANAR": 284,
    "PREDICTOR": 317, "COLOUR_MAP": 320, "TILE_WIDTH": 322, "TILE_HEIGHT": 323,
    "TILE_OFFSETS": 324, "TILE_BYTES": 325, "SAMPLE_FORMAT": 339, "JPEG_TABLES": 347,
})  # fmt: skip

WHITE_IS_ZERO: Final = 0
BLACK_IS_ZERO: Final = 1
RGB: Final = 2
PALETTE: Final = 3
_YCBCR: Final = 6  # in JPEG only, where it is that of JPEG files

NONE: Final = "none"
JPEG: Final = "jpeg"
LZW: Final = "lzw"
_COMPRESSIONS: Final = {
    1: NONE, 5: LZW, 7: JPEG, 8: "deflate", 32773: "packbits", 32946: "deflate",
}  # fmt: skip

_GREYS: Final = {"u": (1, 2, 4, *range(8, 17), 32), "i": (16, 32), "f": (32,)}
_DEPTHS: Final = {
    WHITE_IS_ZERO: _GREYS,
    BLACK_IS_ZERO: _GREYS,
    RGB: {"u": (8, 16)},
    PALETTE: {"u": (1, 2, 4, 8)},
}
_JPEG_DEPTHS: Final = {kind: {"u": (8,)} for kind in (WHITE_IS_ZERO, BLACK_IS_ZERO, _YCBCR)}
_REDUCED_OR_MASK: Final = 0b101
_REDUCED: Final = 2  # of the older tag

_MAX_SEGMENTS: Final = 12_500  # tiles of 64 x 64 in 50 megapixels; each takes some 50 us
_MOST_SHARED: Final = 2  # times the file, of all strips or tiles
_MAX_MARKERS: Final = 2_000_000  # of the JPEG tables, which each strip or tile has to go through
_PADDING: Final = 4  # bytes that a row may be filled up to


class TiffPage:
    """What a directory says of its pixels, found to be in order.

    Args:
        tags: the directory.
        limits: what it may ask for.

    Attributes:
        tags: the directory, for what is not named here.
        height: rows.
        width: columns.
        samples: of a pixel, alpha among them.
        photometric: interpretation, such as `RGB`.
        bits: of a sample.
        dtype: of a sample in memory.
        compression: `NONE`, `JPEG`, `LZW`, or the name of a codec of imagecodecs.
        low_bits_first: whether the bits of each byte are stored in reverse.
        differences: whether samples are stored as differences from the one to their left.
        segment_shape: (rows, columns, samples) of a strip or tile; in planes they have one sample.
        row_bytes: of a strip or tile.
        grid: (down, across) how many of them make a plane, or the image.
        jpeg_tables: what its JPEG streams share, a stream of its own; may be empty.
        segments: (offset, bytes) of each strip or tile, plane by plane, row by row.

    Raises:
        ImageTooLargeError: above the pixel limit.
        MalformedError: for a directory that contradicts itself.
        TruncatedError: if the file ends within it or within its pixels.
        UnsupportedEncodingError: for a compression or a kind of pixel that is not read.
    """

    def __init__(self, tags: Directory, limits: Limits) -> None:
        self.tags = tags
        self.height, self.width = tags.value(Tag.HEIGHT), tags.value(Tag.WIDTH)
        limits.check(self.height, self.width)
        number = tags.value(Tag.COMPRESSION, 1)
        if number not in _COMPRESSIONS:
            raise UnsupportedEncodingError(
                f"TIFF compression {number} is not supported: only "
                f"{', '.join(sorted(set(_COMPRESSIONS.values())))} are"
            )
        self.compression = _COMPRESSIONS[number]
        self.samples = tags.value(Tag.SAMPLES, 1)
        # A missing interpretation is taken as libtiff takes it.
        default = RGB if self.samples >= 3 else BLACK_IS_ZERO
        self.photometric = tags.value(Tag.PHOTOMETRIC, default)
        self.bits, self.dtype = self._kind()
        self.low_bits_first = tags.value(Tag.FILL_ORDER, 1) == 2
        self.differences = self._predictor() == 2
        rows, columns = self._segment_size()
        self.grid = -(-self.height // rows), -(-self.width // columns)
        planar = tags.value(Tag.PLANAR, 1)
        if planar not in (1, 2):
            raise MalformedError(f"the TIFF has planar configuration {planar}")
        together = 1 if planar == 2 else self.samples
        self.segment_shape = rows, columns, together
        self.row_bytes = -(-columns * together * self.bits // 8)
        self.segments = self._segments()
        self.jpeg_tables = b""
        if self.compression == JPEG:
            self.jpeg_tables = bytes(tags.values(Tag.JPEG_TABLES))
        if self.jpeg_tables.count(b"\xff") * len(self.segments) > _MAX_MARKERS:
            raise MalformedError("the TIFF's JPEG tables have too many markers")

    def _kind(self) -> tuple[int, np.dtype[Any]]:
        """Bits and dtype of a sample, where that is read in this compression and interpretation."""
        bits = set(self.tags.values(Tag.BITS) or (1,))
        formats = set(self.tags.values(Tag.SAMPLE_FORMAT) or (1,))
        letter = {1: "u", 2: "i", 3: "f"}.get(max(formats), "")
        depths = (_JPEG_DEPTHS if self.compression == JPEG else _DEPTHS).get(self.photometric, {})
        colours = 3 if self.photometric in (RGB, _YCBCR) else 1
        if (
            len(bits) > 1
            or len(formats) > 1
            or max(bits) not in depths.get(letter, ())
            or self.samples not in (colours, colours + 1)  # one more is alpha
        ):
            raise UnsupportedEncodingError(
                f"a TIFF of {self.samples} x {max(bits)} bits, sample format {max(formats)}, "
                f"photometric interpretation {self.photometric} and compression "
                f"{self.compression} is not supported"
            )
        return max(bits), np.dtype(f"{letter}{-(-max(bits) // 8)}")

    def _predictor(self) -> int:
        """1 or 2; where it makes no sense libtiff passes over it, but tifffile does not."""
        predictor = 1 if self.compression == JPEG else self.tags.value(Tag.PREDICTOR, 1)
        differs = self.bits in (8, 16, 32) and self.compression in (LZW, "deflate")
        if predictor != 1 and not (predictor == 2 and differs):
            raise UnsupportedEncodingError(
                f"TIFF predictor {predictor} of {self.bits} bits in compression "
                f"{self.compression} is not supported"
            )
        return predictor

    def _segment_size(self) -> tuple[int, int]:
        if Tag.TILE_WIDTH in self.tags.entries:
            rows, columns = self.tags.value(Tag.TILE_HEIGHT), self.tags.value(Tag.TILE_WIDTH)
        else:
            rows = min(self.tags.value(Tag.ROWS_PER_STRIP, self.height), self.height)
            columns = self.width
        most = 4 * max(self.height * self.width, 2**22)  # of all, however small the image
        if not (rows and columns and (self.height + rows) * (self.width + columns) <= most):
            raise MalformedError(f"the TIFF has strips or tiles of {rows} x {columns} pixels")
        return rows, columns

    def _segments(self) -> tuple[tuple[int, int], ...]:
        tags, (down, across) = self.tags, self.grid
        needed = down * across * (self.samples // self.segment_shape[2])
        if needed > _MAX_SEGMENTS:
            raise MalformedError(
                f"the TIFF has {needed:,} strips or tiles; at most {_MAX_SEGMENTS:,} may be"
            )
        offsets = tags.values(Tag.TILE_OFFSETS) or tags.values(Tag.STRIP_OFFSETS)
        sizes = tags.values(Tag.TILE_BYTES) or tags.values(Tag.STRIP_BYTES)
        if self.compression == NONE and needed == 1 and not any(sizes):
            sizes = (self.segment_shape[0] * self.row_bytes,)  # some writers leave it out
        if not len(offsets) == len(sizes) >= needed or any(sizes[needed:]):
            raise MalformedError(
                f"the TIFF has {len(offsets)} strips or tiles of {len(sizes)} lengths, but its "
                f"image needs {needed}"
            )
        segments = tuple(zip(offsets[:needed], sizes, strict=False))
        if not all(start and size for start, size in segments):
            raise MalformedError("a strip or tile of the TIFF is missing")
        if self.compression == NONE:
            starts = set(offsets)
            segments = tuple(
                (start, self._uncompressed(index // across % down, start, size, starts))
                for index, (start, size) in enumerate(segments)
            )
        if any(start + size > len(tags.data) for start, size in segments):
            raise TruncatedError("the TIFF ends within its pixels: part of the file is missing")
        if sum(size for _, size in segments) > _MOST_SHARED * len(tags.data):
            raise MalformedError("the TIFF's strips or tiles lie over each other")
        return segments

    def _uncompressed(self, down: int, start: int, size: int, starts: set[int]) -> int:
        """Bytes of the rows that are within the image, of a strip or tile of a stated size.

        A size beyond the file tells nothing, and one may lack a byte that is there. More than that
        is of another width or depth, unless it is less than a byte for each row; but a single row
        cannot be shifted.
        """
        most, room = self.segment_shape[0], len(self.tags.data) - start
        rows = min(most, self.height - down * most)
        needed, size = rows * self.row_bytes, min(size, room)
        odd = min((size - needed, size - most * self.row_bytes), key=abs)
        least = 0 if start + size in starts else -1
        if needed <= room and not least <= odd < (rows if rows > 1 else _PADDING):
            raise MalformedError(
                f"a strip or tile of the TIFF has {size:,} bytes, but its {rows} rows of "
                f"{self.row_bytes:,} bytes need {needed:,}"
            )
        return needed


def is_film(tags: Directory) -> bool:
    """Whether a page is an image of its own: no thumbnail, and no mask of another."""
    if tags.value(Tag.SUBFILE_TYPE, 0) == _REDUCED:
        return False
    return not tags.value(Tag.NEW_SUBFILE_TYPE, 0) & _REDUCED_OR_MASK
