"""A decoded X-ray, and the limits under which it is decoded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from solo.contract.greyscale import Grey
from solo.decoding.pixel_spacing import PixelSpacing
from solo.decoding.stored_pixels import StoredPixels
from solo.errors import ImageTooLargeError, InvalidParameterError, MalformedError

if TYPE_CHECKING:
    from solo.decoding.dicom.source_header import SourceHeader

GreyRecipe = Literal["window", "voi_lut", "percentiles", "as_stored"]
"""How stored values became grey: by the file's window, by its VOI LUT, by stretching the 0.5 to
99.5 percentiles because the file says nothing, or not at all because they were grey already."""

FileKind = Literal["dicom", "png", "jpeg", "tiff", "array"]
"""The format of a file; `array` for pixels that were in memory already."""


@dataclass(frozen=True)
class Limits:
    """What a file may ask of the decoder.

    Attributes:
        max_pixels: most pixels of one image, rows x columns.
    """

    max_pixels: int

    def check(self, height: int, width: int) -> None:
        """Refuses a size before any memory is spent on it.

        Raises:
            MalformedError: for an image without pixels.
            ImageTooLargeError: above the limit.
        """
        if height < 1 or width < 1:
            raise MalformedError(f"the image is {height} x {width} pixels (rows x columns)")
        if height * width > self.max_pixels:
            raise ImageTooLargeError(
                f"the image is {height} x {width} = {height * width:,} pixels; "
                f"at most {self.max_pixels:,} are accepted"
            )


def check_frame(frame: int, frames: int) -> None:
    """Refuses the number of a frame that a file does not have.

    Raises:
        InvalidParameterError: naming how many it has.
    """
    if not 0 <= frame < frames:
        raise InvalidParameterError(f"frame is {frame}, but the file has {frames} frames, from 0")


@dataclass(frozen=True)
class RadiographInfo:
    """The facts of one decoded frame, none of them on the patient.

    Attributes:
        height: rows of pixels.
        width: columns of pixels.
        frame: which frame of the file this is, from 0.
        frames: how many the file has.
        grey: how the stored values became grey.
        pixel_spacing: size of a pixel; None where the file does not say.
        kind: the file's format.
        encoding: DICOM transfer syntax UID as the file declares it, or the format again.
    """

    height: int
    width: int
    frame: int
    frames: int
    grey: GreyRecipe
    pixel_spacing: PixelSpacing | None
    kind: FileKind
    encoding: str


@dataclass(frozen=True)
class Radiograph:
    """One frame, ready for display.

    Attributes:
        pixels: uint8 or uint16 [height, width]; the dtype's full range is black to white, in
            MONOCHROME2 polarity (bone is bright).
        info: the facts of it.
        stored: what the pixels were made of: kept by reference, and gathered for who asks.
        source_header: what DICOM results copy, read for who asks; None where the file is no DICOM.
    """

    pixels: Grey
    info: RadiographInfo
    stored: Callable[[], StoredPixels]
    source_header: Callable[[], SourceHeader] | None = None
