"""Transfer of a source header out of the sandbox: bytes as hexadecimal text, tables in the memory.

The elements cross as opaque bytes, of listed tags and bounded lengths. What a process that was
taken over could say there it could also have said of the film's own text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, isfinite

import numpy as np
import numpy.typing as npt

from solo.decoding.dicom.source_header import (
    MAX_ELEMENT_BYTES,
    TAGS,
    Presentation,
    SourceHeader,
)
from solo.decoding.dicom.voi_attributes import LookupTable
from solo.decoding.window import Window

Table = npt.NDArray[np.uint16]
_MOST_ENTRIES = 65536


@dataclass(frozen=True)
class TableFacts:
    """A LUT but for its entries."""

    first: int
    entries: int
    full_scale: int


@dataclass(frozen=True)
class PackedPresentation:
    """A presentation whose tables are elsewhere; one of `window` and `voi_lut` is there."""

    slope: float
    intercept: float
    inverted: bool
    modality_lut: TableFacts | None
    voi_lut: TableFacts | None
    window: Window | None


@dataclass(frozen=True)
class PackedHeader:
    """A source header as JSON can have it: elements in hexadecimal, by tag."""

    elements: dict[int, str]
    presentation: PackedPresentation | None

    @property
    def tables(self) -> list[TableFacts]:
        """Those that are transferred beside it, in order."""
        shown = self.presentation
        found = (shown.modality_lut, shown.voi_lut) if shown else ()
        return [facts for facts in found if facts is not None]


def pack_header(header: SourceHeader) -> tuple[PackedHeader, list[Table]]:
    """A header for the wire, and the tables beside it."""
    elements = {tag: value.hex() for tag, value in header.elements.items()}
    shown = header.presentation
    if shown is None:
        return PackedHeader(elements, None), []
    voi_lut = None if isinstance(shown.voi, Window) else shown.voi
    packed = PackedPresentation(
        shown.slope,
        shown.intercept,
        shown.inverted,
        _facts(shown.modality_lut),
        _facts(voi_lut),
        shown.voi if isinstance(shown.voi, Window) else None,
    )
    luts = (shown.modality_lut, voi_lut)
    return PackedHeader(elements, packed), [lut.values for lut in luts if lut is not None]


def _facts(lut: LookupTable | None) -> TableFacts | None:
    return None if lut is None else TableFacts(lut.first, len(lut.values), lut.full_scale)


def unpack_header(packed: PackedHeader, tables: list[Table]) -> SourceHeader:
    """The header of a checked message and the tables that came beside it."""
    elements = {tag: bytes.fromhex(text) for tag, text in packed.elements.items()}
    shown, rest = packed.presentation, iter(tables)
    if shown is None:
        return SourceHeader(elements, None)
    modality_lut = _lut(shown.modality_lut, rest)
    voi = shown.window or _lut(shown.voi_lut, rest)
    assert voi is not None  # as `check_header` says
    presentation = Presentation(shown.slope, shown.intercept, modality_lut, voi, shown.inverted)
    return SourceHeader(elements, presentation)


def _lut(facts: TableFacts | None, tables: Iterator[Table]) -> LookupTable | None:
    return None if facts is None else LookupTable(facts.first, next(tables), facts.full_scale)


def check_header(packed: PackedHeader) -> None:
    """Checks what a process says of a header.

    Raises:
        ValueError: for what no decoder of ours says.
    """
    if not packed.elements.keys() <= set(TAGS.values()):
        raise ValueError("an element that is not copied")
    if any(len(bytes.fromhex(text)) > MAX_ELEMENT_BYTES for text in packed.elements.values()):
        raise ValueError("an element of no possible length")
    for facts in packed.tables:
        if not (1 <= facts.entries <= _MOST_ENTRIES and 1 <= facts.full_scale < _MOST_ENTRIES):
            raise ValueError("a table of no possible size")
        if not -_MOST_ENTRIES <= facts.first < _MOST_ENTRIES:
            raise ValueError("a table of no possible beginning")
    if (shown := packed.presentation) is not None:
        if (shown.window is None) == (shown.voi_lut is None):
            raise ValueError("not one window or VOI LUT")
        window = shown.window or Window(0, 1, "LINEAR")
        if not (isfinite(window.center) and 0 < window.width < inf):
            raise ValueError("a window of no possible range")
        if not (isfinite(shown.slope) and isfinite(shown.intercept)):
            raise ValueError("a rescale of no possible values")
