"""Frame header of JPEG (ITU-T T.81, B.1) and JPEG-LS (T.87, C): markers before the first scan."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from solo.decoding.codecs.frame_header import FrameHeader
from solo.errors import MalformedError, TruncatedError

JPEG_SIGNATURE: Final = b"\xff\xd8\xff"
JPEG_END: Final = b"\xff\xd9"

BASELINE: Final = 0xC0
EXTENDED: Final = 0xC1
PROGRESSIVE: Final = 0xC2
LOSSLESS: Final = 0xC3
JPEG_LS: Final = 0xF7
LOSSY: Final = (BASELINE, EXTENDED, PROGRESSIVE)
START_OF_FRAME: Final = {JPEG_LS, *range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # these are tables
START_OF_SCAN: Final = 0xDA
_STANDALONE: Final = {0x01, *range(0xD0, 0xD8)}  # markers without a length: TEM and restarts
_JFIF: Final = (0xE0, b"JFIF\0")
_ADOBE: Final = (0xEE, b"Adobe")  # the byte at 11 says what the components are
_LS_PARAMETERS: Final = 0xF8
_LS_OVERSIZE: Final = b"\4"  # the extension that replaces the frame header's size

_MAX_SEGMENTS: Final = 10_000


@dataclass(frozen=True, kw_only=True)
class JpegHeader(FrameHeader):
    """Frame header, and what else stands before the first scan.

    Attributes:
        marker: start-of-frame marker, which names the process: 0xC0 is SOF0.
        luminance_first: whether colours are luminance and chrominance, not red, green and blue;
            None where the file does not say.
        adobe: transform that an Adobe marker names, or None.
        segments: marker, contents and end of each up to the first scan, whose header is the last.
    """

    marker: int
    luminance_first: bool | None
    adobe: int | None
    segments: list[tuple[int, bytes, int]]


def _segments(data: bytes) -> list[tuple[int, bytes, int]]:
    segments, offset = list[tuple[int, bytes, int]](), 2
    for _ in range(_MAX_SEGMENTS):
        if offset + 4 > len(data):
            raise TruncatedError(f"the JPEG ends within its header, after {len(data):,} bytes")
        if data[offset] != 0xFF:
            raise MalformedError("the JPEG's header is damaged: a marker is missing")
        marker = data[offset + 1]
        if marker == 0xFF or marker in _STANDALONE:  # 0xFF may fill the space before a marker
            offset += 1 if marker == 0xFF else 2
            continue
        end = offset + 2 + int.from_bytes(data[offset + 2 : offset + 4], "big")
        segments.append((marker, data[offset + 4 : end], end))
        if marker == START_OF_SCAN:
            return segments
        offset = end
    raise MalformedError(f"the JPEG has more than {_MAX_SEGMENTS:,} segments")


def read_jpeg_header(data: bytes) -> JpegHeader:
    """Reads the marker segments up to the first scan, and looks for the end of the image.

    A lossless JPEG of one component needs none: its bits are counted.

    Raises:
        MalformedError: if something stands between them, or there are too many, or not exactly one
            frame header.
        TruncatedError: if the data end before the scan, or the image has no end.
    """
    segments = _segments(data)
    frames = [(kind, contents) for kind, contents, _ in segments if kind in START_OF_FRAME]
    if len(frames) != 1:
        raise MalformedError(f"the JPEG has {len(frames)} frame headers before its scan, not one")
    _, scan, end = segments[-1]
    marker, frame = frames[0]
    ended = data.rfind(JPEG_END) >= end
    if not ended and not (marker == LOSSLESS and frame[5:6] == b"\1"):
        raise TruncatedError("the JPEG has no end: part of the file is missing")
    starts = {(kind, contents[:1]) for kind, contents, _ in segments}
    if (_LS_PARAMETERS, _LS_OVERSIZE) in starts:
        raise MalformedError("the JPEG-LS frame changes its own size")
    if len(frame) < 6:
        raise TruncatedError("the JPEG ends within its frame header")
    precision, height, width, components = struct.unpack_from(">BHHB", frame)
    named_parts = frame[6 : 6 + 3 * components]
    whole = len(named_parts) == 3 * components > 0
    parts = list(struct.iter_unpack("3B", named_parts)) if whole else []
    if not parts or not all(
        1 <= factor <= 4 for _, factors, _ in parts for factor in divmod(factors, 16)
    ):
        raise MalformedError("the JPEG has a damaged frame header")
    # The largest error of JPEG-LS stands before the interleave mode and the transform.
    exact = marker == LOSSLESS or (marker == JPEG_LS and scan[-3:-2] in (b"", b"\0"))
    named = [contents for kind, contents, _ in segments if (kind, contents[:5]) == _ADOBE]
    adobe = named[-1][11] if named and len(named[-1]) > 11 else None
    jfif = any((kind, contents[:5]) == _JFIF for kind, contents, _ in segments)
    return JpegHeader(
        process="JPEG-LS" if marker == JPEG_LS else f"JPEG SOF{marker - 0xC0}",
        height=height,
        width=width,
        components=components,
        precision=precision,
        reversible=exact,
        marker=marker,
        luminance_first=True if jfif else _luminance_first(adobe, parts),
        adobe=adobe,
        segments=segments,
    )


def _luminance_first(adobe: int | None, parts: list[tuple[int, ...]]) -> bool | None:
    """What the components are, by Adobe's marker, their names, or that some are subsampled."""
    if adobe in (0, 1):
        return adobe == 1
    if bytes(name for name, _, _ in parts) == b"RGB":
        return False
    return True if len({factors for _, factors, _ in parts}) > 1 else None
