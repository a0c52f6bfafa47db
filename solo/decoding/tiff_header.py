"""Image file directory of a TIFF (TIFF 6.0, sections 2, 7, 8 and 15) or BigTIFF, the first one.

What libtiff will be asked to decode is known and bounded before it is asked.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from solo.decoding.radiograph import Limits
from solo.errors import MalformedError, TruncatedError, UnsupportedEncodingError

TIFF_SIGNATURES: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_WIDTH: Final = 256
_HEIGHT: Final = 257
_BITS: Final = 258
_COMPRESSION: Final = 259
_PHOTOMETRIC: Final = 262
_FILL_ORDER: Final = 266
_STRIP_OFFSETS: Final = 273
_SAMPLES: Final = 277
_ROWS_PER_STRIP: Final = 278
_STRIP_BYTES: Final = 279
_PLANAR: Final = 284
_PREDICTOR: Final = 317
_COLOUR_MAP: Final = 320
_TILE_WIDTH: Final = 322
_TILE_HEIGHT: Final = 323
_TILE_OFFSETS: Final = 324
_TILE_BYTES: Final = 325
_SAMPLE_FORMAT: Final = 339

_WHITE_IS_ZERO: Final = 0
_PALETTE: Final = 3
_PHOTOMETRICS: Final = {0: 1, 1: 1, 2: 3, _PALETTE: 1}  # samples of a pixel, alpha aside
_UNCOMPRESSED: Final = 1
_DEFLATE: Final = "deflate"
_COMPRESSIONS: Final = {
    _UNCOMPRESSED: "none",
    5: "LZW",
    8: _DEFLATE,
    32773: "PackBits",
    32946: _DEFLATE,
}
_FORMATS: Final = {1: "B", 3: "H", 4: "I", 16: "Q"}  # BYTE, SHORT, LONG, LONG8
_MAX_SIDE_OF_TILE: Final = 65_536
_MAX_VALUES: Final = 100_000  # of one tag; a film has as many strips as rows at most

_Tags = dict[int, tuple[int, ...]]


@dataclass(frozen=True)
class TiffHeader:
    """Header fields of the first image.

    Attributes:
        height: rows.
        width: columns.
        samples: of a pixel, alpha among them.
        white_is_zero: whether grey runs from white to black.
        palette: red, green and blue of each value, 16 bits each; empty where there is none.
        sample_type: dtype of a sample as it is stored, byte order included.
        deflated: whether the strips or tiles are deflate streams.
        predictor: 1 for none, 2 for horizontal differencing (TIFF 6.0, section 14).
        low_bits_first: whether the bits of each byte are stored in reverse.
        segment_size: (rows, columns) of a strip or tile.
        segments: (offset, bytes) of each strip or tile, row by row.
    """

    height: int
    width: int
    samples: int
    white_is_zero: bool
    palette: tuple[int, ...]
    sample_type: str
    deflated: bool
    predictor: int
    low_bits_first: bool
    segment_size: tuple[int, int]
    segments: tuple[tuple[int, int], ...]


def read_tiff_header(data: bytes, limits: Limits) -> TiffHeader:
    """Reads the first image file directory and checks that its strips or tiles are all there.

    Raises:
        ImageTooLargeError: above the pixel limit.
        MalformedError: for a directory that contradicts itself.
        TruncatedError: if the file ends within it or within its pixels.
        UnsupportedEncodingError: for a compression or a kind of pixel that is not read.
    """
    try:
        tags = _read_tags(data)
    except struct.error:
        raise TruncatedError("the TIFF ends within its directory") from None
    height, width = _one(tags, _HEIGHT), _one(tags, _WIDTH)
    limits.check(height, width)
    samples, photometric = _one(tags, _SAMPLES, 1), _one(tags, _PHOTOMETRIC)
    _check_kind(tags, samples, photometric)
    segment_size, segments = _read_segments(tags, height, width, len(data))
    return TiffHeader(
        height,
        width,
        samples,
        white_is_zero=photometric == _WHITE_IS_ZERO,
        palette=tags.get(_COLOUR_MAP, ()) if photometric == _PALETTE else (),
        sample_type=f"{_byte_order(data)}u{_one(tags, _BITS) // 8}",
        deflated=_COMPRESSIONS[_one(tags, _COMPRESSION, _UNCOMPRESSED)] == _DEFLATE,
        predictor=_one(tags, _PREDICTOR, 1),
        low_bits_first=_one(tags, _FILL_ORDER, 1) == 2,
        segment_size=segment_size,
        segments=segments,
    )


def _byte_order(data: bytes) -> str:
    return "<" if data.startswith(b"II") else ">"


def _read_tags(data: bytes) -> _Tags:
    """The known tags of the first directory, as integers.

    A BigTIFF has offsets and counts of eight bytes where a TIFF has four, or two of entries.
    """
    order = _byte_order(data)
    word, number, place = ("Q", "Q", 8) if b"+" in data[2:4] else ("I", "H", 4)
    (offset,) = struct.unpack_from(order + word, data, place)
    offset = min(offset, len(data))
    (count,) = struct.unpack_from(order + number, data, offset)
    entry = struct.Struct(f"{order}HH{word}")
    size, first = entry.size + place, offset + struct.calcsize(order + number)
    tags: _Tags = {}
    for start in range(first, first + size * count, size):
        tag, kind, values = entry.unpack_from(data, start)
        if tag not in _KNOWN or tag in tags:
            continue
        _check_tag(tag, kind, values)
        layout = f"{order}{values}{_FORMATS[kind]}"
        at = start + entry.size
        if struct.calcsize(layout) > place:
            (at,) = struct.unpack_from(order + word, data, at)
        tags[tag] = struct.unpack_from(layout, data, min(at, len(data)))
    return tags


def _check_tag(tag: int, kind: int, values: int) -> None:
    if values == 0:
        raise MalformedError(f"tag {tag} of the TIFF has no value")
    if values > _MAX_VALUES:
        raise MalformedError(f"tag {tag} of the TIFF has {values:,} values")
    if kind not in _FORMATS:
        raise MalformedError(f"tag {tag} of the TIFF is not an integer")


_KNOWN: Final = {
    _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _STRIP_OFFSETS, _SAMPLES, _ROWS_PER_STRIP,
    _STRIP_BYTES, _PLANAR, _COLOUR_MAP, _TILE_WIDTH, _TILE_HEIGHT, _TILE_OFFSETS, _TILE_BYTES,
    _SAMPLE_FORMAT, _PREDICTOR, _FILL_ORDER,
}  # fmt: skip


def _one(tags: _Tags, tag: int, default: int | None = None) -> int:
    values = tags.get(tag, ())
    if values:
        return values[0]
    if default is None:
        raise MalformedError(f"the TIFF lacks tag {tag}")
    return default


def _check_kind(tags: _Tags, samples: int, photometric: int) -> None:
    """Refuses what is not grey, palette or RGB of 8 or 16 bits in a lossless coding."""
    compression = _one(tags, _COMPRESSION, _UNCOMPRESSED)
    if compression not in _COMPRESSIONS:
        raise UnsupportedEncodingError(
            f"TIFF compression {compression} is not supported: only "
            f"{', '.join(sorted(set(_COMPRESSIONS.values())))} are"
        )
    bits, formats = set(tags.get(_BITS, (1,))), set(tags.get(_SAMPLE_FORMAT, (1,)))
    depths = ({8},) if photometric == _PALETTE else ({8}, {16})
    if bits not in depths or formats != {1}:
        raise UnsupportedEncodingError(
            f"a TIFF of {max(bits)} bits, sample format {max(formats)} and photometric "
            f"interpretation {photometric} is not supported: only unsigned 8 and 16 bits are"
        )
    wanted = _PHOTOMETRICS.get(photometric)
    if wanted is None or samples not in (wanted, wanted + 1) or _one(tags, _PLANAR, 1) != 1:
        raise UnsupportedEncodingError(
            f"a TIFF of photometric interpretation {photometric} with {samples} samples per pixel "
            "in this arrangement is not supported: only grey, palette and interleaved RGB are"
        )
    if photometric == _PALETTE and len(tags.get(_COLOUR_MAP, ())) != 3 * 256:
        raise MalformedError("the TIFF has a palette that is not of 256 colours")


def _read_segments(
    tags: _Tags, height: int, width: int, file_bytes: int
) -> tuple[tuple[int, int], tuple[tuple[int, int], ...]]:
    """The size and the places of the strips or tiles, all of which lie within the file."""
    if _TILE_OFFSETS in tags:
        offsets, sizes = tags[_TILE_OFFSETS], tags.get(_TILE_BYTES, ())
        rows, columns = _one(tags, _TILE_HEIGHT), _one(tags, _TILE_WIDTH)
        if max(rows, columns) > _MAX_SIDE_OF_TILE or rows * columns > 4 * max(
            height * width, 2**16
        ):
            raise MalformedError(f"the TIFF has tiles of {rows} x {columns} pixels")
    else:
        offsets, sizes = tags.get(_STRIP_OFFSETS, ()), tags.get(_STRIP_BYTES, ())
        rows, columns = min(_one(tags, _ROWS_PER_STRIP, height), height), width
    if rows < 1 or columns < 1:
        raise MalformedError(f"the TIFF has parts of {rows} x {columns} pixels")
    expected = -(-height // rows) * -(-width // columns)
    if not len(offsets) == len(sizes) == expected:
        raise MalformedError(
            f"the TIFF has {len(offsets)} strips or tiles of {len(sizes)} lengths, but its image "
            f"needs {expected}"
        )
    segments = tuple(zip(offsets, sizes, strict=True))
    if any(start + size > file_bytes for start, size in segments):
        raise TruncatedError("the TIFF ends within its pixels: part of the file is missing")
    stored = sum(sizes)
    needed = height * width * _one(tags, _SAMPLES, 1) * _one(tags, _BITS) // 8
    if _one(tags, _COMPRESSION, _UNCOMPRESSED) == _UNCOMPRESSED and stored < needed:
        raise TruncatedError(f"the TIFF has {stored:,} bytes of pixels, but needs {needed:,}")
    return (rows, columns), segments
