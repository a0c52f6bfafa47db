"""The cells of one frame of a DICOM image, as they are stored."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.uid import ExplicitVRBigEndian, RLELossless

from app.decoding.dicom_file import DicomFile
from app.decoding.elements import integer, text, value_of
from app.decoding.radiograph import Limits
from app.decoding.run_lengths import decode_segments
from app.errors import (
    InvalidParameterError,
    MalformedError,
    NotSegmentableError,
    TruncatedError,
)
from model.contract.grey import Grey, as_grey

_SAMPLES = {"MONOCHROME1": 1, "MONOCHROME2": 1, "RGB": 3, "YBR_FULL": 3}


@dataclass(frozen=True)
class PixelLayout:
    """How cells lie in the pixel data (PS3.3 C.7.6.3).

    Attributes:
        rows: height.
        columns: width.
        frames: how many images follow each other.
        samples: 1 for grey, 3 for colour.
        bits: of a cell, 8 or 16.
        planar: whether colour comes as three planes rather than pixel by pixel.
        photometric: photometric interpretation.
    """

    rows: int
    columns: int
    frames: int
    samples: int
    bits: int
    planar: bool
    photometric: str

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame without compression."""
        return self.rows * self.columns * self.samples * self.bits // 8

    @classmethod
    def of(cls, dataset: Dataset, limits: Limits) -> PixelLayout:
        """Reads the layout and refuses what cannot be segmented.

        Raises:
            MalformedError: for missing or contradictory elements.
            ImageTooLargeError: above the pixel limit.
            NotSegmentableError: for pixels that are neither grey nor true colour.
        """
        rows, columns = integer(dataset, "Rows"), integer(dataset, "Columns")
        limits.check(rows, columns)
        frames = integer(dataset, "NumberOfFrames", default=1)
        photometric = text(dataset, "PhotometricInterpretation") or "MONOCHROME2"
        samples = integer(dataset, "SamplesPerPixel", default=1)
        bits = integer(dataset, "BitsAllocated")
        if photometric not in _SAMPLES:
            known = photometric in {"PALETTE COLOR", "YBR_FULL_422", "YBR_RCT", "YBR_ICT", "ARGB"}
            raise NotSegmentableError(
                f"photometric interpretation {photometric if known else 'not known'} is not "
                f"supported: only {', '.join(_SAMPLES)} are"
            )
        if samples != _SAMPLES[photometric]:
            raise MalformedError(f"{photometric} does not have {samples} samples per pixel")
        if bits not in ((8, 16) if samples == 1 else (8,)):
            raise NotSegmentableError(
                f"{photometric} with {bits} bits allocated is not supported: grey may have "
                "8 or 16, colour 8"
            )
        if frames < 1:
            raise MalformedError(f"the number of frames is {frames}")
        planar = samples > 1 and integer(dataset, "PlanarConfiguration", default=0) == 1
        return cls(rows, columns, frames, samples, bits, planar, photometric)


def read_frame(file: DicomFile, layout: PixelLayout, frame: int) -> Grey:
    """The cells of one frame; colour is reduced to grey.

    Args:
        file: the parsed file.
        layout: its layout.
        frame: which, from 0.

    Returns:
        uint8 or uint16 [rows, columns], bit patterns in the machine's byte order.

    Raises:
        InvalidParameterError: for a frame that is not there.
        NotSegmentableError: if there are no pixels.
        MalformedError: if they are not as many as the layout says.
    """
    if not 0 <= frame < layout.frames:
        raise InvalidParameterError(
            f"frame is {frame}, but the file has {layout.frames} frames, from 0"
        )
    if "PixelData" not in file.dataset:
        raise NotSegmentableError("the DICOM object has no pixel data")
    data = value_of(file.dataset, "PixelData")
    if not isinstance(data, bytes):
        raise TruncatedError("the pixel data are empty")
    if file.transfer_syntax == RLELossless:
        cells = _run_length_frame(data, layout, frame)
    else:
        cells = _native_frame(data, layout, frame, file)
    return cells if layout.samples == 1 else _luminance(cells, layout)


def _native_frame(data: bytes, layout: PixelLayout, frame: int, file: DicomFile) -> Grey:
    expected = layout.frame_bytes * layout.frames
    if len(data) < expected:
        raise TruncatedError(
            f"the pixel data have {len(data):,} bytes, but {layout.frames} x {layout.rows} x "
            f"{layout.columns} pixels need {expected:,}"
        )
    if len(data) > expected + expected % 2:
        raise MalformedError(
            f"the pixel data have {len(data):,} bytes, more than the {expected:,} that "
            f"{layout.frames} x {layout.rows} x {layout.columns} pixels need"
        )
    big = file.transfer_syntax == ExplicitVRBigEndian
    if big and layout.bits == 8 and file.dataset["PixelData"].VR == "OW":
        # PS3.5 A.3: bytes in words are swapped with the words
        padded = data + bytes(len(data) % 2)
        data = np.frombuffer(padded, ">u2").astype("<u2").tobytes()
    start = frame * layout.frame_bytes
    kind = "u1" if layout.bits == 8 else (">u2" if big else "<u2")
    count = layout.frame_bytes * 8 // layout.bits
    return as_grey(np.frombuffer(data, kind, count, start).reshape(_shape(layout)))


def _run_length_frame(data: bytes, layout: PixelLayout, frame: int) -> Grey:
    try:
        encoded = get_frame(data, frame, number_of_frames=layout.frames)
    except MemoryError:
        raise
    except Exception:  # whatever pydicom makes of damaged items
        raise MalformedError("the RLE pixel data are damaged: a frame cannot be found") from None
    pixels = layout.rows * layout.columns
    planes = decode_segments(encoded, layout.samples * layout.bits // 8, pixels)
    if layout.bits == 8:
        interleaved = planes.T.reshape(layout.rows, layout.columns, layout.samples)
        return as_grey(interleaved[:, :, 0] if layout.samples == 1 else interleaved)
    high, low = planes.astype(np.uint16)
    return as_grey(((high << 8) | low).reshape(layout.rows, layout.columns))


def _shape(layout: PixelLayout) -> tuple[int, ...]:
    if layout.samples == 1:
        return layout.rows, layout.columns
    if layout.planar:
        return layout.samples, layout.rows, layout.columns
    return layout.rows, layout.columns, layout.samples


def _luminance(cells: Grey, layout: PixelLayout) -> Grey:
    pixels = cells if cells.shape[-1] == 3 else np.moveaxis(cells, 0, -1)
    if layout.photometric == "YBR_FULL":  # PS3.3 C.7.6.3.1.2: Y is the luminance
        return as_grey(pixels[:, :, 0])
    return as_grey(cv2.cvtColor(as_grey(np.ascontiguousarray(pixels)), cv2.COLOR_RGB2GRAY))
