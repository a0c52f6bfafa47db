"""Frames of a DICOM SEG as COCO run lengths (PS3.3 C.8.20.2, PS3.5 8.1.1).

The file is not trusted: what is declared is checked before memory is spent on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from solo.decoding.dicom.elements import code, integer, number
from solo.decoding.dicom.file import DicomFile, NativePixels
from solo.decoding.dicom.frames import read_frame
from solo.decoding.dicom.pixel_layout import PixelLayout, SampleBits
from solo.decoding.radiograph import Limits
from solo.errors import ImageTooLargeError, MalformedError, UnsupportedEncodingError

Rle = dict[str, Any]
"""COCO's compressed run lengths: `size` as [height, width], `counts` as bytes."""

_LIMITS: Final = Limits(2**27)  # of a frame: a detector of 43 cm has 74 million pixels of 50 um
_MOST_PIXELS: Final = 2**32  # of all frames; compressed ones take next to no bytes of a file
_MOST_RUNS: Final = 2**22  # of a frame; a crowded film has some 100,000
_MOST_FRACTION: Final = 255


@dataclass(frozen=True)
class SegFrames:
    """The frames of a SEG.

    Attributes:
        file: it.
        kind: `BINARY`, `FRACTIONAL` or `LABELMAP`.
        layout: of its frames as they are stored; of one bit, 8 pixels are a cell of a single row.
        size: (rows, columns) of a frame in pixels.
        most: Maximum Fractional Value.
    """

    file: DicomFile
    kind: str
    layout: PixelLayout
    size: tuple[int, int]
    most: float

    @classmethod
    def of(cls, file: DicomFile) -> SegFrames:
        """Reads the Image Pixel and Segmentation Image modules.

        Raises:
            MalformedError: for what is no SEG.
            ImageTooLargeError: for more pixels than are read.
            UnsupportedEncodingError: for cells that no SEG has.
        """
        dataset = file.dataset
        size = integer(dataset, "Rows"), integer(dataset, "Columns")
        _LIMITS.check(*size)
        frames = integer(dataset, "NumberOfFrames", default=1)
        if frames < 1 or file.pixel_data is None:
            raise MalformedError("it has no frames")
        if frames * size[0] * size[1] > _MOST_PIXELS:
            raise ImageTooLargeError(
                f"its {frames:,} frames have more than {_MOST_PIXELS:,} pixels together"
            )
        kind = code(dataset, "SegmentationType") or "BINARY"
        bits = SampleBits.of(dataset)
        if bits.signed or (bits.allocated, bits.shift) not in ((1, 0), (8, 0), (16, 0)):
            raise UnsupportedEncodingError("its cells have neither 1, 8 nor 16 bits")
        shape = size
        if bits.allocated == 1:
            shape, bits = (1, -(-size[0] * size[1] // 8)), SampleBits(8, 8, 7, signed=False)
        layout = PixelLayout(*shape, frames, 1, bits, planar=False, photometric="MONOCHROME2")
        most = number(dataset, "MaximumFractionalValue", default=_MOST_FRACTION)
        return cls(file, kind, layout, size, most if most > 0 else _MOST_FRACTION)

    def masks(self, frame: int) -> dict[int, Rle]:
        """What one frame shows, each by its value: 1 but in a label map.

        A fraction counts from half of the largest one on, as a pixel does that is half covered.

        Args:
            frame: which, from 0.

        Raises:
            SoloError: for pixels that are not there, damaged, or in a coding that is not read.
        """
        cells = self._cells(frame)
        if self.kind == "FRACTIONAL" and integer(self.file.dataset, "BitsAllocated") > 1:
            cells = (cells >= self.most / 2).view(np.uint8)
        elif self.kind != "LABELMAP":
            cells = (cells != 0).view(np.uint8)
        return run_lengths(cells)

    def nothing(self) -> Rle:
        """A mask without a pixel."""
        size = list(self.size)
        empty = {"size": size, "counts": [size[0] * size[1]]}
        rle: Rle = coco_mask.frPyObjects(empty, *size)
        return rle

    def _cells(self, frame: int) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
        if integer(self.file.dataset, "BitsAllocated") > 1:
            return read_frame(self.file, self.layout, frame)
        pixels, first = self.size[0] * self.size[1], 0
        if isinstance(self.file.pixel_data, NativePixels):
            first = frame * pixels
            packed = _bytes_of(self.file.pixel_data)[first // 8 : -(-(first + pixels) // 8)]
        else:  # a frame for itself, in whole bytes
            packed = read_frame(self.file, self.layout, frame).ravel().astype(np.uint8)
        if len(packed) * 8 < first % 8 + pixels:
            raise MalformedError("its pixel data end before its last frame")
        bits = np.unpackbits(packed, count=first % 8 + pixels, bitorder="little")
        return bits[first % 8 :].reshape(self.size)


def _bytes_of(pixels: NativePixels) -> npt.NDArray[np.uint8]:
    """The bytes in little endian: those of words in big endian are swapped (PS3.5 A.3)."""
    if pixels.little or pixels.representation != "OW":
        return np.frombuffer(pixels.value, np.uint8)
    whole = len(pixels.value) // 2 * 2
    return np.frombuffer(pixels.value[:whole], ">u2").astype("<u2").view(np.uint8)


def run_lengths(labels: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]) -> dict[int, Rle]:
    """Run lengths of each value but 0 of a label map.

    Args:
        labels: uint8 or uint16 [height, width].

    Raises:
        ImageTooLargeError: for noise, whose runs would take many times the memory of its pixels.
    """
    flat = labels.ravel(order="F")
    changes = flat[1:] != flat[:-1]
    if np.count_nonzero(changes) > _MOST_RUNS:
        raise ImageTooLargeError(f"a frame has more than {_MOST_RUNS:,} edges: it is noise")
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    values, ends = flat[starts], np.append(starts[1:], flat.size)
    order = np.argsort(values, kind="stable")
    order = order[np.searchsorted(values[order], 1) :]
    found: dict[int, Rle] = {}
    for runs in np.split(order, np.flatnonzero(np.diff(values[order])) + 1):
        if len(runs):
            edges = np.column_stack([starts[runs], ends[runs]]).ravel()
            if edges[-1] < flat.size:
                edges = np.append(edges, flat.size)
            counts, size = np.diff(edges, prepend=0).tolist(), list(labels.shape)
            found[int(values[runs[0]])] = coco_mask.frPyObjects(
                {"size": size, "counts": counts}, *size
            )
    return found
