"""Attributes of Modality LUT, VOI LUT and window, read from the data set (PS3.3 C.11).

All of them are proposals for display: what cannot be used is passed over. Without its Modality LUT
or rescale a film still has its order of greys, which percentiles need; VOI LUTs and windows, which
are given in the output of the one that was lost, go with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from math import isfinite, isnan, nan
from typing import Final

import numpy as np
import numpy.typing as npt

from solo.decoding.dicom.element_walk import Elements
from solo.decoding.dicom.elements import code, items, number, numbers, unconverted
from solo.decoding.dicom.pixel_layout import SampleBits, photometric_interpretation
from solo.decoding.dicom.sop_classes import is_for_processing
from solo.decoding.window import Window, WindowFunction
from solo.errors import MalformedError

_FUNCTIONS: Final[dict[str, WindowFunction]] = {
    "": "LINEAR",
    "LINEAR": "LINEAR",
    "LINEAR_EXACT": "LINEAR_EXACT",
    "SIGMOID": "SIGMOID",
}
_TABLE_BYTES: Final = 2 * 65536
_LARGEST: Final = 1e30  # beyond it a rescale has no unit, and its output no float32
_MOST_PROPOSALS: Final = 8  # of a kind; each that leaves no contrast costs a table of 65,536


@dataclass(frozen=True)
class LookupTable:
    """Modality or VOI LUT (PS3.3 C.11.1.1, C.11.2.1.1).

    Attributes:
        first: input value that maps to the first entry, as written; below it the first entry
            holds, beyond the last the last.
        values: uint16 [N].
        full_scale: output value that means white.
    """

    first: int
    values: npt.NDArray[np.uint16]
    full_scale: int


@dataclass(frozen=True)
class GreyDescription:
    """Attributes that turn stored values into grey.

    Attributes:
        bits: of a sample within its cell.
        padding: inclusive range of values that are no measurement, None where absent. Ends beyond
            the bits stored are in values of the whole cell.
        modality_lut: takes precedence over slope and intercept, None where absent.
        slope: of the rescale; 1 where the file has none that is usable.
        intercept: of the rescale.
        voi: VOI LUTs, then windows, in the file's order: alternatives (PS3.3 C.11.2.1.2).
        inverted: whether the smallest value is white.
        for_processing: whether the film is raw, so that a window in it means nothing.
    """

    bits: SampleBits
    padding: tuple[int, int] | None = None
    modality_lut: LookupTable | None = None
    slope: float = 1.0
    intercept: float = 0.0
    voi: tuple[LookupTable | Window, ...] = ()
    inverted: bool = False
    for_processing: bool = False

    @classmethod
    def of(cls, dataset: Elements, sop_class: str) -> GreyDescription:
        """Reads the attributes from a data set of a SOP class.

        Raises:
            MalformedError: for bits of a sample that cannot be.
        """
        bits = SampleBits.of(dataset)
        tables = list(_tables(dataset, "ModalityLUTSequence"))
        modality_lut = next(filter(None, tables), None)
        if modality_lut is not None and bits.signed and modality_lut.first > 0x7FFF:
            modality_lut = replace(modality_lut, first=modality_lut.first - 0x10000)  # as written
        slope = number(dataset, "RescaleSlope", default=0)
        intercept = number(dataset, "RescaleIntercept", default=0)
        if slope == 0:  # it would make the image one grey: some writers fill it in as "none"
            slope, intercept = (nan if tables else 1), 0
        slope = slope if 1 / _LARGEST < abs(slope) < _LARGEST else nan
        intercept = intercept if abs(intercept) < _LARGEST else nan
        lost = modality_lut is None and isnan(slope + intercept)
        tables = list(_tables(dataset, "VOILUTSequence"))
        windows = islice(_windows(dataset), _MOST_PROPOSALS)
        return cls(
            bits=bits,
            padding=_padding(dataset, bits),
            modality_lut=modality_lut,
            slope=1 if isnan(slope) else slope,
            intercept=0 if isnan(intercept) else intercept,
            voi=() if lost else (*filter(None, tables), *windows),
            inverted=photometric_interpretation(dataset) == "MONOCHROME1"
            or code(dataset, "PresentationLUTShape") == "INVERSE",
            for_processing=code(dataset, "PresentationIntentType") == "FOR PROCESSING"
            or is_for_processing(sop_class),
        )


def _padding(dataset: Elements, bits: SampleBits) -> tuple[int, int] | None:
    """Pixel Padding Value and Range Limit (PS3.3 C.7.5.1.1.2), in either order."""
    value, limit = number(dataset, "PixelPaddingValue"), number(dataset, "PixelPaddingRangeLimit")
    if isnan(value):
        return None
    first = _cell_value(int(value), bits)
    last = first if isnan(limit) else _cell_value(int(limit), bits)
    return min(first, last), max(first, last)


def _cell_value(value: int, bits: SampleBits) -> int:
    """A padding value with the film's own sign: files disagree on US and SS.

    They also disagree on whether its sign fills the bits beyond those stored.
    """
    if not bits.signed:
        return value & 0xFFFF
    value = ((value & 0xFFFF) ^ 0x8000) - 0x8000
    half = 1 << (bits.stored - 1)
    return value - 2 * half if half <= value < 2 * half else value


def _windows(dataset: Elements) -> Iterator[Window]:
    function = _FUNCTIONS.get(code(dataset, "VOILUTFunction"))
    if function is None:
        return
    smallest = 1.0 if function == "LINEAR" else np.finfo(np.float32).tiny
    centers, widths = numbers(dataset, "WindowCenter"), numbers(dataset, "WindowWidth")
    for center, width in zip(centers, widths, strict=False):
        if isfinite(center) and width >= smallest:
            yield Window(center, width, function)


def _tables(dataset: Elements, keyword: str) -> Iterator[LookupTable | None]:
    """Tables of a LUT sequence; None for one that is not usable. An empty item says nothing."""
    try:
        for item in islice(items(dataset, keyword), _MOST_PROPOSALS):
            if numbers(item, "LUTDescriptor") or numbers(item, "LUTData", _TABLE_BYTES):
                yield _table(item)
    except MalformedError:  # the sequence is damaged
        yield None


def _table(item: Elements) -> LookupTable | None:
    descriptor = numbers(item, "LUTDescriptor")
    if len(descriptor) != 3 or any(map(isnan, descriptor)):
        return None
    entries, first, bits = (int(value) for value in descriptor)  # PS3.3 C.11.1.1.1
    entries, bits = entries & 0xFFFF or 65536, bits & 0xFFFF
    values = _entries(item, entries, bits)
    if 2 * len(values) < entries or not np.isfinite(values).all():
        return None
    # Writers that count one entry more than they write are known: the last one holds.
    whole = np.pad(values[:entries], (0, max(0, entries - len(values))), mode="edge")
    words = (whole.astype(np.int64) & 0xFFFF).astype(np.uint16)
    largest = max(int(words.max()), 1)
    if 2 * len(values) <= entries + 1 and largest.bit_length() > bits:
        return None  # half of it, and too deep: bytes, or another table's depth
    # The described depth is often wrong in old files: believe it only if the data reach it.
    believable = 1 <= bits <= 16 and largest.bit_length() == bits
    return LookupTable(first, words, (1 << bits) - 1 if believable else largest)


def _entries(item: Elements, entries: int, bits: int) -> npt.NDArray[np.generic]:
    """LUT Data, which may be words (US), a byte string of words (OW), or of packed bytes.

    Some writers count bytes in the descriptor, and then there are as many bytes of words.
    """
    data = unconverted(item, "LUTData", _TABLE_BYTES)
    if bits <= 8 and len(data) in (entries, entries + 1):
        return np.frombuffer(data, np.uint8)
    return np.array(numbers(item, "LUTData", _TABLE_BYTES))
