"""Frame extraction: the stored pixel cells of one frame, native or encapsulated."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from pydicom.uid import UID

from solo.contract.greyscale import Grey, as_grey
from solo.decoding.codecs.rle import decode_segments
from solo.decoding.dicom.codestreams import Samples, decode_codestream
from solo.decoding.dicom.codings import check_colour, coding_of, signature_of
from solo.decoding.dicom.elements import unconverted
from solo.decoding.dicom.encapsulation import MAX_ITEMS, Encapsulated, frame_bytes
from solo.decoding.dicom.file import DicomFile, NativePixels, window_bits
from solo.decoding.dicom.pixel_layout import PixelLayout
from solo.decoding.dicom.pixel_length import check_length, check_rows, is_exact
from solo.decoding.dicom.transfer_syntaxes import CODINGS, Coding, syntax_name
from solo.decoding.radiograph import check_frame
from solo.errors import MalformedError, TruncatedError

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
        UnsupportedEncodingError: for a coding that is not read.
        NotSegmentableError: for a codestream that holds no radiograph.
        MalformedError: if they are not as many as the layout says, or damaged.
    """
    check_frame(frame, layout.frames)
    pixels = file.pixel_data
    if isinstance(pixels, NativePixels):
        signature = signature_of(pixels.value) or b""
        # One of two bytes may be a pixel.
        least = 3 if pixels.length >= layout.frame_bytes * layout.frames else 1
        if len(signature) >= least and not is_exact(pixels.length, layout, layout.frames):
            pixels = Encapsulated((), (pixels.value,))  # a codestream without items
        else:
            cells = _native_frame(pixels, file.transfer_syntax, layout, frame)
    if isinstance(pixels, Encapsulated):
        cells = _encapsulated_frame(pixels, file, layout, frame)
    return cells if cells.ndim == 2 else _luminance(cells, layout)


def _native_frame(pixels: NativePixels, syntax: UID, layout: PixelLayout, frame: int) -> Grey:
    data = pixels.value
    if not data:
        raise TruncatedError("the pixel data are empty")
    if CODINGS[syntax] is not Coding.NATIVE and not is_exact(pixels.length, layout, layout.frames):
        raise MalformedError(
            f"the pixel data are not encapsulated, as {syntax_name(syntax)} has to be, and their "
            f"{pixels.length:,} bytes are not those of {layout.frames} x {layout.rows} x "
            f"{layout.columns} pixels"
        )
    check_colour(Coding.NATIVE, syntax, layout)
    whole = layout.frame_bytes * layout.frames
    check_length(data, pixels.length, whole, layout, frames=layout.frames)
    if not pixels.little and layout.bits.allocated == 8 and pixels.representation == "OW":
        # PS3.5 A.3: bytes in words are swapped with the words
        padded = bytes(data) + bytes(len(data) % 2)
        data = np.frombuffer(padded, ">u2").astype("<u2").data.cast("B")
    order = "<" if pixels.little else ">"
    cells = _as_stored(data, layout, frame * layout.frame_bytes, order)
    if pixels.length > whole + 1:
        check_rows(cells)
    return cells


def _encapsulated_frame(
    pixels: Encapsulated, file: DicomFile, layout: PixelLayout, frame: int
) -> Grey:
    data = frame_bytes(
        pixels.fragments, layout.frames, frame, _extended_offsets(file) or pixels.offset_table
    )
    coding = coding_of(data, file.transfer_syntax, layout)
    if coding in _UNPACKERS:
        return _UNPACKERS[coding](data, layout)
    samples, codestream = decode_codestream(data, coding, file.transfer_syntax, layout)
    return _to_cells(samples, layout, exact=codestream.reversible, signed=codestream.signed)


def _extended_offsets(file: DicomFile) -> tuple[int, ...]:
    """The Extended Offset Table (PS3.3 C.7.6.3.1.8), empty where absent."""
    table = unconverted(file.dataset, "ExtendedOffsetTable", _OFFSETS_BYTES)
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
    pixels, planes = layout.rows * layout.columns, []
    for plane in decode_segments(data, layout.samples * layout.bits.allocated // 8, pixels):
        check_length(plane.data, len(plane), pixels, layout, unpacked=True)
        planes.append(plane[:pixels].reshape(layout.rows, layout.columns))
    if layout.bits.allocated == 8:
        return as_grey(planes[0] if layout.samples == 1 else np.dstack(planes))
    cells = planes[0].astype(np.uint16)  # the higher byte comes first
    cells <<= 8
    cells |= planes[1]
    return as_grey(cells)


def _uncompressed(data: bytes, layout: PixelLayout, *, unpacked: bool = False) -> Grey:
    check_length(memoryview(data), len(data), layout.frame_bytes, layout, unpacked=unpacked)
    cells = _as_stored(data, layout, 0, "<")
    if len(data) > layout.frame_bytes + 1:
        check_rows(cells)
    return cells


def _deflated(data: bytes, layout: PixelLayout) -> Grey:
    """A frame of its own deflate stream (PS3.5 A.4.13), inflated no further than it may be."""
    inflater = zlib.decompressobj(window_bits(data))
    try:
        inflated = inflater.decompress(data, 2 * layout.frame_bytes)
    except zlib.error:
        raise MalformedError("the deflated frame is damaged") from None
    if not inflater.eof and len(inflated) <= layout.frame_bytes:
        raise TruncatedError("the deflated frame has no end: part of it is missing")
    return _uncompressed(inflated, layout, unpacked=True)


_UNPACKERS: Final[dict[Coding, Callable[[bytes, PixelLayout], Grey]]] = {
    Coding.RLE: _run_length,
    Coding.ENCAPSULATED: _uncompressed,
    Coding.DEFLATED: _deflated,
}


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
