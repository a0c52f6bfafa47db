"""JPEG scans and their entropy-coded segments (ITU-T T.81, B.1.1.5 and B.2).

libjpeg passes over markers that are missing, doubled or out of order, and invents what lay between
them. What their number and order tell is checked here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from solo.decoding.codecs.jpeg_header import LOSSLESS, JpegHeader
from solo.errors import MalformedError, TruncatedError

Offsets = npt.NDArray[np.int64]

_HUFFMAN_TABLES: Final = 0xC4
_END_OF_IMAGE: Final = 0xD9
_START_OF_SCAN: Final = 0xDA
_RESTART_INTERVAL: Final = 0xDD
_RESTARTS: Final = range(0xD0, 0xD8)
# Between scans there may be tables, a number of lines, comments and what applications add.
_MISCELLANEOUS: Final = {_HUFFMAN_TABLES, _RESTART_INTERVAL, 0xDB, 0xDC, 0xFE, *range(0xE0, 0xF0)}
_MAX_SCANS: Final = 200  # each passes over the whole image, and takes but a few bytes
_MAX_SEGMENTS: Final = 10_000
_FF: Final = 0xFF


@dataclass(frozen=True)
class Scan:
    """One scan of a JPEG and its entropy-coded segments.

    Attributes:
        segments: int64 [N, 2], begin and end of each entropy-coded segment in the file.
        coded_bytes: int64 [N], what a decoder makes of each.
        interval: minimum coded units of a segment; of the last one at most.
        units: (rows, columns) of minimum coded units.
        unit_size: (height, width) of one, in pixels.
        predictor: of the lossless process; where the spectrum starts in others.
        shift: low bits of a sample that are not coded.
        code_lengths: bits of the code of each category of differences in the first component; 0 for
            a category that has none.
    """

    segments: Offsets
    coded_bytes: Offsets
    interval: int
    units: tuple[int, int]
    unit_size: tuple[int, int]
    predictor: int
    shift: int
    code_lengths: tuple[int, ...]


@dataclass
class _State:
    """Restart interval and Huffman tables that are in force."""

    interval: int = 0
    tables: dict[int, tuple[int, ...]] = field(default_factory=dict)


class _Markers:
    """All markers of a file by their place; those within segments are among them."""

    def __init__(self, data: bytes) -> None:
        octets = np.frombuffer(data, np.uint8)
        prefixes = np.flatnonzero(octets[:-1] == _FF).astype(np.int64)
        after = octets[prefixes + 1]
        marks = (after != 0) & (after != _FF)
        self.places, self.kinds = prefixes[marks], after[marks]
        self._stuffed = prefixes[after == 0]
        restarts = (self.kinds >= _RESTARTS.start) & (self.kinds < _RESTARTS.stop)
        self._others = self.places[~restarts]

    def end_of_scan(self, start: int) -> int:
        """Offset of the next marker that is no restart."""
        index = int(np.searchsorted(self._others, start))
        if index == len(self._others):
            raise TruncatedError("the JPEG has no end: part of the file is missing")
        return int(self._others[index])

    def restarts(self, start: int, end: int) -> tuple[Offsets, npt.NDArray[np.uint8]]:
        """The places and kinds of the markers in a scan."""
        first, last = np.searchsorted(self.places, (start, end))
        return self.places[first:last], self.kinds[first:last]

    def coded_bytes(self, segments: Offsets) -> Offsets:
        """The length of segments without the zeros stuffed after 0xFF (B.1.1.5)."""
        begins, ends = segments.T
        stuffing = np.searchsorted(self._stuffed, ends) - np.searchsorted(self._stuffed, begins)
        return np.asarray(ends - begins - stuffing)


def read_scans(data: bytes, header: JpegHeader) -> list[Scan]:
    """Reads the scans up to the end of the image.

    Args:
        data: the file.
        header: its header, of a sequential, progressive or lossless process.

    Raises:
        MalformedError: if a marker stands where none may, or restarts are not in order.
        TruncatedError: if there is no end of image, or restarts are missing.
    """
    markers, state, scans = _Markers(data), _State(), list[Scan]()
    offset = _next_marker(data, 2)
    for _ in range(_MAX_SEGMENTS):
        if data[offset + 1] == _END_OF_IMAGE and scans:
            return scans
        kind, length = data[offset + 1], int.from_bytes(data[offset + 2 : offset + 4], "big")
        payload = data[offset + 4 : offset + 2 + length]
        offset += 2 + length
        if kind == _START_OF_SCAN:
            if len(scans) == _MAX_SCANS:
                raise MalformedError(f"the JPEG has more than {_MAX_SCANS} scans")
            end = markers.end_of_scan(offset)
            scans.append(_scan(header, payload, state, markers, (offset, end)))
            offset = end
        elif kind in _MISCELLANEOUS or (kind == header.marker and not scans):
            _note(kind, payload, state)
        else:
            raise MalformedError("the JPEG's data are damaged: a marker stands where none may")
        offset = _next_marker(data, offset)
    raise MalformedError(f"the JPEG has more than {_MAX_SEGMENTS:,} segments")


def _next_marker(data: bytes, offset: int) -> int:
    """Passes over the bytes that may fill the space before a marker."""
    while data[offset : offset + 2] == b"\xff\xff":
        offset += 1
    if offset + 4 > len(data) and data[offset : offset + 2] != b"\xff\xd9":
        raise TruncatedError("the JPEG has no end: part of the file is missing")
    if data[offset] != _FF:
        raise MalformedError("the JPEG is damaged: a marker is missing")
    return offset


def _note(kind: int, payload: bytes, state: _State) -> None:
    if kind == _HUFFMAN_TABLES:
        _note_tables(payload, state)
    elif kind == _RESTART_INTERVAL:
        state.interval = int.from_bytes(payload[:2], "big")


def _note_tables(payload: bytes, state: _State) -> None:
    """Huffman tables (B.2.4.2) for DC and lossless, as the code length of each category."""
    while len(payload) >= 17:
        place, counts = payload[0], payload[1:17]
        symbols = payload[17 : 17 + sum(counts)]
        lengths = [length for length, count in enumerate(counts, 1) for _ in range(count)]
        of = dict(zip(symbols, lengths, strict=False))
        if place < 0x10:  # the upper half is 1 for AC
            state.tables[place] = tuple(of.get(category, 0) for category in range(17))
        payload = payload[17 + sum(counts) :]


def _scan(
    header: JpegHeader,
    payload: bytes,
    state: _State,
    markers: _Markers,
    span: tuple[int, int],
) -> Scan:
    components = payload[0] if payload else 0
    if not 1 <= components <= 4 or len(payload) != 2 * components + 4:
        raise MalformedError("the JPEG has a damaged scan header")
    units, unit_size = _units(header, components, payload[1])
    total = units[0] * units[1]
    interval = state.interval or total
    places, kinds = markers.restarts(*span)
    expected = -(-total // interval) - 1
    if len(places) == expected + 1 and expected:
        places, kinds, span = places[:-1], kinds[:-1], (span[0], int(places[-1]))  # a known habit
    if len(places) != expected:
        raise TruncatedError(
            f"a scan of the JPEG has {len(places)} restart markers, but its image needs "
            f"{expected}: data are missing or damaged"
        )
    if np.any(kinds != _RESTARTS.start + np.arange(expected) % len(_RESTARTS)):
        raise MalformedError("the JPEG's restart markers are not in order: data are missing")
    begins, ends = np.append(span[0], places + 2), np.append(places, span[1])
    segments = np.column_stack([begins, ends])
    return Scan(
        segments=segments,
        coded_bytes=markers.coded_bytes(segments),
        interval=interval,
        units=units,
        unit_size=unit_size,
        predictor=payload[-3],
        shift=payload[-1] & 0x0F,
        code_lengths=state.tables.get(payload[2] >> 4, ()),
    )


def _units(
    header: JpegHeader, components: int, identifier: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """(rows, columns) of a scan's minimum coded units, and their size in pixels (A.2)."""
    side = 1 if header.marker == LOSSLESS else 8
    down = max(vertical for _, _, vertical in header.sampling)
    across = max(horizontal for _, horizontal, _ in header.sampling)
    height, width = side * down, side * across
    if components == 1:  # one block is a unit, whatever the sampling
        own = {name: (vertical, horizontal) for name, horizontal, vertical in header.sampling}
        if identifier not in own:
            raise MalformedError("a scan of the JPEG is of a component that it does not have")
        vertical, horizontal = own[identifier]
        lines, samples = (
            -(-header.height * vertical // down),
            -(-header.width * horizontal // across),
        )
        units = -(-lines // side), -(-samples // side)
        return units, (height // vertical, width // horizontal)
    return (-(-header.height // height), -(-header.width // width)), (height, width)
