"""Attributes of Modality LUT, VOI LUT and window, read from the data set (PS3.3 C.11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from solo.decoding.dicom.elements import first_item, integer, number, numbers, text, value_of
from solo.decoding.dicom.pixel_layout import SampleBits
from solo.decoding.dicom.sop_classes import FOR_PROCESSING
from solo.errors import MalformedError

WindowFunction = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
_FUNCTIONS: Final[dict[str, WindowFunction]] = {
    "": "LINEAR",
    "LINEAR": "LINEAR",
    "LINEAR_EXACT": "LINEAR_EXACT",
    "SIGMOID": "SIGMOID",
}
_TABLE_BYTES: Final = 2 * 65536


@dataclass(frozen=True)
class LookupTable:
    """Modality or VOI LUT (PS3.3 C.11.1.1, C.11.2.1.1).

    Attributes:
        first: input value that maps to the first entry; below it the first entry holds, beyond
            the last the last.
        values: uint16 [N].
        full_scale: output value that means white.
    """

    first: int
    values: npt.NDArray[np.uint16]
    full_scale: int


@dataclass(frozen=True)
class Window:
    """VOI window (PS3.3 C.11.2.1.2), centre and width in output values of the Modality LUT."""

    center: float
    width: float
    function: WindowFunction


@dataclass(frozen=True)
class GreyDescription:
    """Attributes that turn stored values into grey; None where absent.

    Attributes:
        bits_allocated: 8 or 16, bits of a stored cell.
        bits_stored: bits of a sample within its cell.
        high_bit: position of the sample's highest bit.
        signed: whether the sample is in two's complement.
        padding: inclusive range of stored values that are no measurement.
        modality_lut: takes precedence over slope and intercept.
        slope: of the rescale; 1 where the file has none that is usable.
        intercept: of the rescale.
        voi_lut: takes precedence over the window.
        window: the first of the file's windows.
        inverted: whether the smallest value is white.
        for_processing: whether the film is raw, so that a window in it means nothing.
    """

    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    padding: tuple[int, int] | None = None
    modality_lut: LookupTable | None = None
    slope: float = 1.0
    intercept: float = 0.0
    voi_lut: LookupTable | None = None
    window: Window | None = None
    inverted: bool = False
    for_processing: bool = False

    @classmethod
    def of(cls, dataset: Dataset) -> GreyDescription:
        """Reads the attributes from a data set.

        Raises:
            MalformedError: for values that contradict each other or cannot be read.
        """
        bits = SampleBits.of(dataset)
        slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
        return cls(
            bits_allocated=bits.allocated,
            bits_stored=bits.stored,
            high_bit=bits.high,
            signed=bits.signed,
            padding=_padding(dataset, bits.stored, bits.signed),
            modality_lut=_lookup_table(dataset, "ModalityLUTSequence", bits.signed),
            # A slope of 0 would make the image one grey: some writers fill it in as "none".
            slope=slope if slope else 1.0,
            intercept=(intercept or 0.0) if slope else 0.0,
            voi_lut=_lookup_table(dataset, "VOILUTSequence", bits.signed),
            window=_window(dataset),
            inverted=text(dataset, "PhotometricInterpretation") == "MONOCHROME1"
            or text(dataset, "PresentationLUTShape") == "INVERSE",
            for_processing=text(dataset, "PresentationIntentType") == "FOR PROCESSING"
            or text(dataset, "SOPClassUID") in FOR_PROCESSING,
        )


def _padding(dataset: Dataset, stored: int, signed: bool) -> tuple[int, int] | None:
    """Pixel Padding Value and Range Limit (PS3.3 C.7.5.1.1.2), in either order."""
    if value_of(dataset, "PixelPaddingValue") is None:
        return None
    first = _stored_value(integer(dataset, "PixelPaddingValue"), stored, signed)
    limit = integer(dataset, "PixelPaddingRangeLimit", default=first)
    last = _stored_value(limit, stored, signed)
    return min(first, last), max(first, last)


def _stored_value(value: int, bits: int, signed: bool) -> int:
    """Reads a padding value with the image's own sign: files disagree on US and SS."""
    pattern = value & ((1 << bits) - 1)
    return pattern - (1 << bits) if signed and pattern >> (bits - 1) else pattern


def _window(dataset: Dataset) -> Window | None:
    """The first window; several are alternatives (PS3.3 C.11.2.1.2). None if it is not usable.

    It is a proposal for display: one that cannot be read, such as with a decimal comma, is no
    reason to refuse the film.
    """
    try:
        center, width = number(dataset, "WindowCenter"), number(dataset, "WindowWidth")
    except MalformedError:
        return None
    function = _FUNCTIONS.get(text(dataset, "VOILUTFunction"))
    if center is None or width is None or function is None:
        return None
    smallest = 1.0 if function == "LINEAR" else np.finfo(np.float32).tiny
    return Window(center, width, function) if width >= smallest else None


def _lookup_table(dataset: Dataset, keyword: str, signed: bool) -> LookupTable | None:
    item = first_item(dataset, keyword)
    if item is None:
        return None
    descriptor, data = _descriptor(item), value_of(item, "LUTData", _TABLE_BYTES)
    entries = descriptor[0] & 0xFFFF or 65536
    first = descriptor[1]
    if signed and first > 0x7FFF:  # written as US into a film of signed samples
        first -= 0x10000
    words = _words(data, entries, ">" if dataset.original_encoding[1] is False else "<")
    if len(words) < entries:
        raise MalformedError(
            f"the DICOM element {keyword} has {len(words)} entries, but describes {entries}"
        )
    values = words[:entries]
    bits, largest = descriptor[2] & 0xFFFF, max(int(values.max()), 1)
    # The described depth is often wrong in old files: believe it only if the data reach it.
    believable = 1 <= bits <= 16 and largest.bit_length() == bits
    return LookupTable(first, values, (1 << bits) - 1 if believable else largest)


def _descriptor(item: Dataset) -> tuple[int, int, int]:
    """Number of entries, first input value, bits per entry (PS3.3 C.11.1.1.1)."""
    raw = value_of(item, "LUTDescriptor")
    if isinstance(raw, bytes):  # the sign of implicit VR could not be told
        values = [float(word) for word in np.frombuffer(raw[: len(raw) // 2 * 2], "<u2")]
    else:
        values = numbers(item, "LUTDescriptor") or []
    if len(values) != 3:
        raise MalformedError(f"the DICOM element LUTDescriptor has {len(values)} of 3 values")
    return int(values[0]), int(values[1]), int(values[2])


def _words(data: object, entries: int, byte_order: str) -> npt.NDArray[np.uint16]:
    """LUT Data, which may be words (US), a byte string of words (OW), or of packed bytes."""
    if isinstance(data, bytes):
        kind = f"{byte_order}u2" if len(data) >= 2 * entries else "u1"
        return np.frombuffer(data[: len(data) // 2 * 2], kind).astype(np.uint16)
    values = [data] if isinstance(data, int) else data
    try:
        return (np.array(values, np.int64) & 0xFFFF).astype(np.uint16)
    except (TypeError, ValueError, OverflowError):
        raise MalformedError("the DICOM element LUTData cannot be read") from None
