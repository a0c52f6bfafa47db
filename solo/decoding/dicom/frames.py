"""Frame extraction: the stored pixel cells of one frame, native or encapsulated."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from pydicom.uid import ExplicitVRBigEndian

from solo.contract.greyscale import Grey, as_grey
from solo.decoding.codecs.rle import decode_segments
from solo.decoding.dicom.codestreams import Samples, begins_codestream, decode_codestream
from solo.decoding.dicom.elements import value_of
from solo.decoding.dicom.encapsulation import MAX_ITEMS, Encapsulated, frame_bytes
from solo.decoding.dicom.file import DicomFile, NativePixels
from solo.decoding.dicom.pixel_layout import PixelLayout
from solo.decoding.dicom.transfer_syntaxes import CODINGS, Coding, syntax_name
from solo.errors import (
    InvalidParameterError,
    MalformedError,
    TruncatedError,
)

_OFFSETS_BYTES: Final = 8 * MAX_ITEMS


def read_frame(file: DicomFile, layout: PixelLayout, frame: int) -> Grey:
    """Reads the stored pixel cells of one frame; colour is reduced to grey.

    Args:
        file: the parsed file.
        layout: its layout.
        frame: which, from 0.

    Returns:
        uint8 or uint16 [rows, columns], bit patterns in the machine's byte order.

    Raises:
        InvalidParameterError: for a frame that is not there.
        NotSegmentableError: for a codestream that holds no radiograph.
        MalformedError: if they are not as many as the layout says, or damaged.
    """
    if not 0 <= frame < layout.frames:
        raise InvalidParameterError(
            f"frame is {frame}, but the file has {layout.frames} frames, from 0"
        )
    if CODINGS[file.transfer_syntax] is Coding.NATIVE:
        cells = _native_frame(file, layout, frame)
    else:
        cells = _encapsulated_frame(file, layout, frame)
    return cells if cells.ndim == 2 else _luminance(cells, layout)


def _native_frame(file: DicomFile, layout: PixelLayout, frame: int) -> Grey:
    if not isinstance(file.pixel_data, NativePixels):
        raise MalformedError(
            "the pixel data are encapsulated, but the transfer syntax is "
            f"{syntax_name(file.transfer_syntax)}"
        )
    data = file.pixel_data.value
    if not data:
        raise TruncatedError("the pixel data are empty")
    _check_length(data, layout.frame_bytes * layout.frames, layout.frames, layout)
    big = file.transfer_syntax == ExplicitVRBigEndian
    if big and layout.bits.allocated == 8 and file.pixel_data.representation == "OW":
        # PS3.5 A.3: bytes in words are swapped with the words
        padded = bytes(data) + bytes(len(data) % 2)
        data = np.frombuffer(padded, ">u2").astype("<u2").data.cast("B")
    return _as_stored(data, layout, frame * layout.frame_bytes, ">" if big else "<")


def _encapsulated_frame(file: DicomFile, layout: PixelLayout, frame: int) -> Grey:
    if not isinstance(file.pixel_data, Encapsulated):
        raise MalformedError(
            "the pixel data are not encapsulated, as the transfer syntax "
            f"{syntax_name(file.transfer_syntax)} has to be"
        )
    coding = CODINGS[file.transfer_syntax]
    # Of these each frame is one fragment, and nothing in it tells where a codestream begins.
    tellable = coding not in (Coding.RLE, Coding.ENCAPSULATED, Coding.DEFLATED)
    data = frame_bytes(
        file.pixel_data,
        layout.frames,
        frame,
        _extended_offsets(file),
        begins_codestream if tellable else None,
    )
    if coding in _UNPACKERS:
        return _UNPACKERS[coding](data, layout)
    samples, codestream = decode_codestream(data, file.transfer_syntax, layout)
    return _to_cells(samples, layout, exact=codestream.reversible, signed=codestream.signed)


def _extended_offsets(file: DicomFile) -> tuple[int, ...]:
    """The Extended Offset Table (PS3.3 C.7.6.3.1.8), empty where absent."""
    table = value_of(file.dataset, "ExtendedOffsetTable", _OFFSETS_BYTES)
    if not isinstance(table, bytes):
        return ()
    return tuple(np.frombuffer(table[: len(table) // 8 * 8], "<u8").tolist())


def _to_cells(samples: Samples, layout: PixelLayout, *, exact: bool, signed: bool) -> Grey:
    """Decoded samples as the cells that a native file would hold.

    What is not exact may lie beyond the bits stored, and would wrap around where they are cut off.
    What is exact may hold an overlay there, and is left alone.
    """
    bits = layout.bits
    if not exact and bits.high == bits.stored - 1 and signed == bits.signed:
        lowest = -(1 << (bits.stored - 1)) if signed else 0
        samples = np.clip(samples, lowest, lowest + (1 << bits.stored) - 1)
    kind = f"{samples.dtype.kind}{bits.allocated // 8}"
    return as_grey(samples.astype(kind, copy=False).view(f"u{bits.allocated // 8}"))


def _run_length(data: bytes, layout: PixelLayout) -> Grey:
    pixels = layout.rows * layout.columns
    planes = decode_segments(data, layout.samples * layout.bits.allocated // 8, pixels)
    if layout.bits.allocated == 8:
        interleaved = planes.T.reshape(layout.rows, layout.columns, layout.samples)
        return as_grey(interleaved[:, :, 0] if layout.samples == 1 else interleaved)
    cells = planes[0].astype(np.uint16)  # the higher byte comes first
    cells <<= 8
    cells |= planes[1]
    return as_grey(cells.reshape(layout.rows, layout.columns))


def _uncompressed(data: bytes, layout: PixelLayout) -> Grey:
    _check_length(data, layout.frame_bytes, 1, layout)
    return _as_stored(data, layout, 0, "<")


def _deflated(data: bytes, layout: PixelLayout) -> Grey:
    """A frame of its own deflate stream (PS3.5 A.4.13), inflated no further than it may be."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(data, layout.frame_bytes + layout.columns + 1)
    except zlib.error:
        raise MalformedError("the deflated frame is damaged") from None
    return _uncompressed(inflated, layout)


_UNPACKERS: Final[dict[Coding, Callable[[bytes, PixelLayout], Grey]]] = {
    Coding.RLE: _run_length,
    Coding.ENCAPSULATED: _uncompressed,
    Coding.DEFLATED: _deflated,
}


def _check_length(
    data: bytes | memoryview, expected: int, frames: int, layout: PixelLayout
) -> None:
    shape = f"{frames} x {layout.rows} x {layout.columns} pixels"
    if len(data) < expected:
        raise TruncatedError(
            f"the pixel data have {len(data):,} bytes, but {shape} need {expected:,}"
        )
    # Some writers pad further than to an even length; a smaller header than there are pixels
    # leaves a row or more, or something other than zeros.
    excess = bytes(data[expected : expected + layout.columns])
    if len(data) - expected > 1 and (len(excess) == layout.columns or excess.strip(b"\0")):
        raise MalformedError(
            f"the pixel data have {len(data):,} bytes, more than the {expected:,} that {shape} need"
        )


def _as_stored(data: bytes | memoryview, layout: PixelLayout, start: int, byte_order: str) -> Grey:
    """Uncompressed cells: [H, W], or [H, W, 3] with what `_luminance` wants."""
    kind = f"{byte_order}u{layout.bits.allocated // 8}"
    cells = np.frombuffer(data, kind, layout.frame_cells, start)
    rows, columns = layout.rows, layout.columns
    if layout.photometric == "YBR_FULL_422":  # Y Y CB CR for two pixels, PS3.3 C.7.6.3.1.2
        return as_grey(cells.reshape(rows, columns // 2, 4)[:, :, :2].reshape(rows, columns))
    if layout.samples == 1:
        return as_grey(cells.reshape(rows, columns))
    if layout.planar:
        return as_grey(np.moveaxis(cells.reshape(layout.samples, rows, columns), 0, -1))
    return as_grey(cells.reshape(rows, columns, layout.samples))


def _luminance(cells: Grey, layout: PixelLayout) -> Grey:
    """Grey of [H, W, 3]: luminance in front, or red, green and blue."""
    if layout.photometric.startswith("YBR_FULL"):  # PS3.3 C.7.6.3.1.2: Y is the luminance
        return as_grey(cells[:, :, 0])
    return as_grey(cv2.cvtColor(as_grey(np.ascontiguousarray(cells)), cv2.COLOR_RGB2GRAY))
