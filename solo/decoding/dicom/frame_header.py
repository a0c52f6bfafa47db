"""Frame header of a codestream, checked against the DICOM header before decoding.

The headers of all codings are read into one form and compared with the DICOM header. Decoders
allocate what a codestream promises and some crash or invent pixels where the two disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

from solo.decoding.dicom.pixel_layout import PixelLayout
from solo.errors import MalformedError


@dataclass(frozen=True)
class Codestream:
    """Frame header of a codestream, in one form for all codings.

    Attributes:
        process: the coding in words.
        height: rows.
        width: columns.
        components: samples of a pixel.
        precision: bits of a sample.
        signed: whether samples are signed in the codestream itself.
        reversible: whether decoding gives exactly what was encoded.
    """

    process: str
    height: int
    width: int
    components: int
    precision: int
    signed: bool
    reversible: bool

    def check(self, layout: PixelLayout) -> None:
        """Checks the frame header against the DICOM header.

        Precision may exceed the bits stored (12-bit JPEG of 10-bit films is common) or fall short
        of them, as long as both fill the same number of bytes.

        Raises:
            MalformedError: where the two disagree.
        """
        if (self.height, self.width) != (layout.rows, layout.columns):
            raise MalformedError(
                f"the {self.process} frame is {self.height} x {self.width} pixels, but its DICOM "
                f"header says {layout.rows} x {layout.columns}"
            )
        if self.components != layout.samples:
            raise MalformedError(
                f"the {self.process} frame has {self.components} components, but its DICOM header "
                f"says {layout.samples} samples per pixel"
            )
        bits = layout.bits
        if (
            self.precision > bits.allocated
            or (self.precision > 8) != (bits.stored > 8)
            or (bits.signed and self.precision < bits.stored)
        ):
            raise MalformedError(
                f"the {self.process} frame has samples of {self.precision} bits, but its DICOM "
                f"header says {bits.stored} of {bits.allocated}"
            )
