"""Image Pixel module: rows, columns, samples and bits of the pixel data (PS3.3 C.7.6.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from solo.decoding.dicom.element_walk import Elements
from solo.decoding.dicom.elements import code, integer, number
from solo.decoding.radiograph import Limits
from solo.errors import MalformedError, NotSegmentableError

_SAMPLES: Final = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_RCT": 3,
    "YBR_ICT": 3,
}
_REFUSED_BY_NAME: Final = {"PALETTE COLOR", "ARGB", "HSV", "CMYK", "YBR_PARTIAL_422", "XYB"}


@dataclass(frozen=True)
class SampleBits:
    """Bits allocated, bits stored, high bit and pixel representation (PS3.5 8.1.1).

    Attributes:
        allocated: bits of a cell.
        stored: bits of the sample.
        high: position of its highest bit, from 0.
        signed: whether it is in two's complement.
    """

    allocated: int
    stored: int
    high: int
    signed: bool

    @property
    def shift(self) -> int:
        """Bits below the sample."""
        return self.high + 1 - self.stored

    @classmethod
    def of(cls, dataset: Elements) -> SampleBits:
        """Reads the four elements.

        Those that are absent have the only values that make sense, and so has a high bit that
        cannot be: the standard allows no other (PS3.3 C.7.6.3.1.1).

        Raises:
            MalformedError: if the sample does not fit into its cell.
        """
        allocated = integer(dataset, "BitsAllocated")
        stored = integer(dataset, "BitsStored", default=allocated)
        if not 1 <= stored <= allocated:
            raise MalformedError(f"{stored} bits stored do not fit into {allocated} bits allocated")
        high = number(dataset, "HighBit")
        high = int(high) if stored <= high + 1 <= allocated else stored - 1
        return cls(allocated, stored, high, integer(dataset, "PixelRepresentation", default=0) == 1)


@dataclass(frozen=True)
class PixelLayout:
    """Layout of the pixel data, by the Image Pixel module.

    Attributes:
        rows: height.
        columns: width.
        frames: how many images follow each other.
        samples: 1 for grey, 3 for colour.
        bits: of a cell, which has 8 or 16.
        planar: whether colour comes as three planes rather than pixel by pixel.
        photometric: photometric interpretation.
    """

    rows: int
    columns: int
    frames: int
    samples: int
    bits: SampleBits
    planar: bool
    photometric: str

    @property
    def frame_cells(self) -> int:
        """Pixel cells of one native frame; two pixels of YBR_FULL_422 share their chroma."""
        cells = 2 if self.photometric == "YBR_FULL_422" else self.samples
        return self.rows * self.columns * cells

    @property
    def frame_bytes(self) -> int:
        """Bytes of one native frame."""
        return self.frame_cells * self.bits.allocated // 8

    @classmethod
    def of(cls, dataset: Elements, limits: Limits) -> PixelLayout:
        """Reads the Image Pixel module and refuses what cannot be segmented.

        Raises:
            MalformedError: for missing or contradictory elements.
            ImageTooLargeError: above the pixel limit.
            NotSegmentableError: for pixels that are neither grey nor true colour.
        """
        rows, columns = integer(dataset, "Rows"), integer(dataset, "Columns")
        limits.check(rows, columns)
        # 0 is some writers' nothing; whether one frame is all there is, its length will tell.
        frames = number(dataset, "NumberOfFrames", default=1)
        frames = int(frames) if frames >= 1 else 1
        photometric = photometric_interpretation(dataset)
        samples = integer(dataset, "SamplesPerPixel", default=_SAMPLES.get(photometric, 1))
        _check_kind(photometric, samples, integer(dataset, "BitsAllocated"))
        if photometric == "YBR_FULL_422" and columns % 2:
            raise MalformedError(f"YBR_FULL_422 has pairs of pixels, but {columns} columns")
        planar = samples > 1 and integer(dataset, "PlanarConfiguration", default=0) == 1
        bits = SampleBits.of(dataset)
        return cls(rows, columns, frames, samples, bits, planar, photometric)


def photometric_interpretation(dataset: Elements) -> str:
    """Photometric Interpretation; MONOCHROME2 for grey that does not say which end is white.

    That is what most films are, and what other readers take it for.
    """
    name = code(dataset, "PhotometricInterpretation").replace("MONOCHROME ", "MONOCHROME")
    return "MONOCHROME2" if name in ("", "MONOCHROME") else name


def _check_kind(photometric: str, samples: int, allocated: int) -> None:
    if photometric not in _SAMPLES:
        name = photometric if photometric in _REFUSED_BY_NAME else "not known"
        raise NotSegmentableError(
            f"photometric interpretation {name} is not supported: only {', '.join(_SAMPLES)} are"
        )
    if samples != _SAMPLES[photometric]:
        raise MalformedError(f"{photometric} does not have {samples} samples per pixel")
    if allocated not in ((8, 16) if samples == 1 else (8,)):
        raise NotSegmentableError(
            f"{photometric} with {allocated} bits allocated is not supported: grey may have 8 or "
            "16, colour 8"
        )
