"""Stored pixels: what a frame's grey was made of, for a display that has a window of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from solo.contract.greyscale import Grey, as_grey
from solo.decoding.canvas import in_8_bits
from solo.decoding.window import Window

PixelsWanted = Literal["none", "grey", "cells"]
"""What is wanted beside the model's canvas: nothing, the frame in 8 bits, or its stored pixels."""

_FINEST = 2.0**-12  # of the window's width: a sixteenth of a grey in 8 bits
_END = 0.01  # of what a VOI LUT spreads: its toe and shoulder are flat


@dataclass(frozen=True)
class Display:
    """How stored pixels become grey.

    Attributes:
        bits: of a cell.
        window: of the modality values: the file's own, or the linear one that its grey amounts to.
        inverted: whether high modality values are dark.
    """

    bits: Literal[8, 16]
    window: Window
    inverted: bool


@dataclass(frozen=True, eq=False)
class StoredPixels:
    """The pixel cells of one frame, and two tables that are indexed by a cell.

    Attributes:
        cells: uint8 or uint16 [height, width], as stored; of colour, its luminance.
        table: uint8 [256] or [65536]: `table[cells]` is the frame in 8 bits, as the model saw it.
        values: float32 [256] or [65536], modality values (PS3.3 C.11.1), NaN for padding. They and
            the window begin at its centre if it is too narrow for a float32 there.
        display: the window that leads from `values` to about `table`; padding is black.
    """

    cells: Grey
    table: npt.NDArray[np.uint8]
    values: npt.NDArray[np.float32]
    display: Display

    @classmethod
    def of(
        cls,
        cells: Grey,
        table: Grey,
        values: npt.NDArray[np.float64],
        padded: npt.NDArray[np.bool_],
        *,
        window: Window | None,
        inverted: bool,
    ) -> Self:
        """Gathers what a decoder has at hand.

        Args:
            cells: as stored.
            table: grey by cell, of the cells' dtype.
            values: modality value by cell.
            padded: by cell, whether it is padding.
            window: None if the grey has another curve, whose range is looked for.
            inverted: whether high values are dark; of no effect without a window.
        """
        if window is None:
            window, inverted = _range_of(values[~padded], table[~padded])
        if _is_coarse(values, window):
            values, window = values - window.center, replace(window, center=0.0)
        shown = np.where(padded, np.nan, values).astype(np.float32)
        bits: Literal[8, 16] = 8 if cells.dtype == np.uint8 else 16
        return cls(cells, in_8_bits(table), shown, Display(bits, window, inverted))

    @classmethod
    def room(cls, display: Display, height: int, width: int) -> Self:
        """Arrays of the right shapes with nothing in them yet."""
        entries = 1 << display.bits
        cells = as_grey(np.empty((height, width), np.dtype(f"u{display.bits // 8}")))
        return cls(cells, np.empty(entries, np.uint8), np.empty(entries, np.float32), display)

    @property
    def arrays(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32], Grey]:
        """Table, values and cells, in the order in which they are handed on."""
        return self.table, self.values, self.cells


def as_stored(cells: Grey) -> StoredPixels:
    """The stored pixels of a frame that is grey as it is: black is 0, white the dtype's most."""
    white = np.iinfo(cells.dtype).max
    table = np.arange(white + 1, dtype=cells.dtype)
    return raw_pixels(cells, as_grey(table), stretched(0, white))


def raw_pixels(cells: Grey, table: Grey, window: Window) -> StoredPixels:
    """The stored pixels of a file that knows no modality values, padding or polarity."""
    values = np.arange(len(table), dtype=np.float64)
    padded = np.zeros(len(table), np.bool_)
    return StoredPixels.of(cells, table, values, padded, window=window, inverted=False)


def stretched(low: float, high: float) -> Window:
    """The window of a stretch from `low`, black, to `high`, white; 1 wide where both are one."""
    width = high - low if high > low else max(1.0, 2 * float(np.spacing(abs(low))))
    return Window(low + width / 2, width, "LINEAR_EXACT")


def _is_coarse(values: npt.NDArray[np.float64], window: Window) -> bool:
    """Whether float32 is too coarse for what a window spreads, or float64 for its ends."""
    near = values[abs(values - window.center) <= window.width]
    error = abs(near.astype(np.float32) - near).max(initial=np.spacing(abs(window.center)))
    return bool(error > window.width * _FINEST)


def _range_of(values: npt.NDArray[np.float64], table: Grey) -> tuple[Window, bool]:
    """The line through a curve from where it leaves black to where it reaches white, or falls.

    Args:
        values: modality values, in any order.
        table: grey of each.

    Returns:
        A window, and whether the curve falls.
    """
    if table.min() == table.max():  # in 8 bits a slight curve is one grey
        return stretched(float(values.min()), float(values.max())), False
    grey = table / np.iinfo(table.dtype).max
    middle = (grey.min() + grey.max()) / 2
    inverted = bool(values[grey > middle].mean() < values[grey <= middle].mean())
    if inverted:
        grey = 1 - grey
    dark, span = grey.min(), np.ptp(grey)
    order = np.argsort(values, kind="stable")
    rising = np.maximum.accumulate(grey[order])
    ends = np.interp(dark + span * np.array([_END, 1 - _END]), rising, values[order])
    line = stretched(*ends.tolist())
    width = line.width / (span * (1 - 2 * _END))
    # Where the line is half grey: its own middle is that only if it goes from black to white.
    center = line.center + (0.5 - dark - span / 2) * width
    return Window(float(center), float(width), "LINEAR_EXACT"), inverted
