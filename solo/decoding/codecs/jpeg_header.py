"""Frame header of JPEG (ITU-T T.81, B.1) and JPEG-LS (T.87, C): markers before the first scan."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from solo.errors import MalformedError, TruncatedError

JPEG_SIGNATURE: Final = b"\xff\xd8\xff"
JPEG_END: Final = b"\xff\xd9"

BASELINE: Final = 0xC0
EXTENDED: Final = 0xC1
PROGRESSIVE: Final = 0xC2
LOSSLESS: Final = 0xC3
JPEG_LS: Final = 0xF7
_START_OF_FRAME: Final = {JPEG_LS, *range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # these are tables
_START_OF_SCAN: Final = 0xDA
_STANDALONE: Final = {0x01, *range(0xD0, 0xD8)}  # markers without a length: TEM and restarts
_COLOUR_MARKERS: Final = {0xE0: b"JFIF\0", 0xEE: b"Adobe"}
_LS_PARAMETERS: Final = 0xF8
_LS_OVERSIZE: Final = 4  # the extension that replaces the frame header's size

_MAX_SEGMENTS: Final = 10_000


@dataclass(frozen=True)
class JpegHeader:
    """Frame header, and what else stands before the first scan.

    Attributes:
        marker: start-of-frame marker, which names the process: 0xC0 is SOF0.
        precision: bits of a sample.
        height: lines.
        width: samples of a line.
        components: of the frame.
        near: largest error of JPEG-LS; without meaning in the other processes.
        tells_colour: whether a JFIF or Adobe marker says what the components are.
        sampling: (identifier, horizontal, vertical) of each component: its sampling factors.
    """

    marker: int
    precision: int
    height: int
    width: int
    components: int
    near: int
    tells_colour: bool
    sampling: tuple[tuple[int, int, int], ...]

    @property
    def process(self) -> str:
        """Name of the coding process, as in the standard's tables."""
        return "JPEG-LS" if self.marker == JPEG_LS else f"JPEG SOF{self.marker - 0xC0}"


def read_jpeg_header(data: bytes) -> JpegHeader:
    """Reads the marker segments up to the first scan, and looks for the end of the image.

    libjpeg fills what is missing with invented pixels and reports success.

    Raises:
        MalformedError: if there is not exactly one frame header before the scan.
        TruncatedError: if the data end before the scan, or the image has no end.
    """
    offset, frame, tells_colour = 2, None, False
    for _ in range(_MAX_SEGMENTS):
        if offset + 4 > len(data):
            break
        if data[offset] != 0xFF:
            raise MalformedError("the JPEG's header is damaged: a marker is missing")
        marker = data[offset + 1]
        if marker == 0xFF or marker in _STANDALONE:  # 0xFF may fill the space before a marker
            offset += 1 if marker == 0xFF else 2
            continue
        end = offset + 2 + int.from_bytes(data[offset + 2 : offset + 4], "big")
        segment = data[offset + 4 : end]
        if marker == _START_OF_SCAN:
            return _header(data, frame, segment, tells_colour, offset)
        if marker in _START_OF_FRAME:
            if frame is not None:
                raise MalformedError("the JPEG has more than one frame header")
            frame = marker, segment
        if marker == _LS_PARAMETERS and segment[:1] == bytes([_LS_OVERSIZE]):
            raise MalformedError("the JPEG-LS frame changes its own size")
        tells_colour |= segment.startswith(_COLOUR_MARKERS.get(marker, b"\0no such segment"))
        offset = end
    else:
        raise MalformedError(f"the JPEG has more than {_MAX_SEGMENTS:,} segments before its scan")
    raise TruncatedError(f"the JPEG ends within its header, after {len(data):,} bytes")


def _header(
    data: bytes,
    frame: tuple[int, bytes] | None,
    scan: bytes,
    tells_colour: bool,
    scan_offset: int,
) -> JpegHeader:
    if frame is None:
        raise MalformedError("the JPEG has no frame header before its scan")
    marker, segment = frame
    if len(segment) < 6:
        raise TruncatedError("the JPEG ends within its frame header")
    precision, height, width, components = struct.unpack_from(">BHHB", segment)
    if data.rfind(JPEG_END) < scan_offset:
        raise TruncatedError("the JPEG has no end: part of the file is missing")
    near = scan[-3] if marker == JPEG_LS and len(scan) >= 3 else 0  # before ILV and the transform
    sampling = tuple(
        (name, factors >> 4, factors & 0x0F)
        for name, factors, _ in struct.iter_unpack("3B", segment[6 : 6 + 3 * components])
    )
    if not len(sampling) == components > 0 or not all(
        1 <= factor <= 4 for _, *factors in sampling for factor in factors
    ):
        raise MalformedError("the JPEG has a damaged frame header")
    return JpegHeader(marker, precision, height, width, components, near, tells_colour, sampling)
