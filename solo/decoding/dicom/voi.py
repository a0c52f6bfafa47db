"""Modality LUT, VOI LUT and window as one lookup table (PS3.3 C.11.1 and C.11.2).

Every step of the pipeline is a function of one value, so all of them together are a table of 256
or 65536 entries, built once per image and applied in one pass before anything is resized.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from solo.contract.greyscale import Grey, as_grey, histogram, percentile_range
from solo.decoding.dicom.pixel_layout import SampleBits
from solo.decoding.dicom.voi_attributes import GreyDescription, LookupTable
from solo.decoding.radiograph import GreyRecipe
from solo.decoding.stored_pixels import StoredPixels, stretched
from solo.decoding.window import Window

Levels = npt.NDArray[np.float64]
_LOOKED_AT: Final = 256  # rows or columns, about
_FEW: Final = 0.005  # of the pixels


def to_grey(
    cells: Grey, description: GreyDescription
) -> tuple[Grey, GreyRecipe, Callable[[], StoredPixels], Window | LookupTable]:
    """Applies Modality LUT, VOI LUT or window, and polarity to the stored pixel cells.

    Args:
        cells: uint8 or uint16 [H, W], as stored: shift, mask and sign still to be applied.
        description: what the file says about them.

    Returns:
        uint8 [H, W] from 8 bits and uint16 [H, W] from 16, how it was done, what of, and by which
        window or VOI LUT of the modality values.
    """
    counts = _some_counts(cells)
    bits = _aligned(counts, description)
    stored = stored_values(bits)
    levels = modality_values(stored, description)
    padded = padding_mask(bits, description.padding)
    if not counts[~padded].any():  # a range over all values would leave nothing
        padded[:] = False
    counts[padded] = 0
    grey, recipe, voi = _values_of_interest(cells, levels, padded, counts, description)
    if description.inverted:  # PS3.3 C.7.6.3.1.2, C.11.6.1.2: after the VOI LUT, and once
        grey = 1 - grey
    grey[padded] = 0  # no measurement is background
    white = np.iinfo(cells.dtype).max
    table = as_grey((grey * white).round().astype(cells.dtype))
    window = voi if isinstance(voi, Window) else None
    steps = partial(StoredPixels.of, cells, table, levels, padded, window=window)
    stored_pixels = partial(steps, inverted=description.inverted)
    return as_grey(cv2.LUT(cells, table)), recipe, stored_pixels, voi


def stored_values(bits: SampleBits) -> npt.NDArray[np.int64]:
    """Stored values by pixel cell (PS3.5 8.1.1): int64 [256] or [65536], indexed by the cell.

    Bits outside the sample may hold retired overlays.
    """
    samples = np.arange(1 << bits.allocated, dtype=np.int64) >> bits.shift
    samples &= (1 << bits.stored) - 1
    if not bits.signed:
        return samples
    return samples - (samples >> (bits.stored - 1) << bits.stored)


def padding_mask(bits: SampleBits, padding: tuple[int, int] | None) -> npt.NDArray[np.bool_]:
    """Pixel padding (PS3.3 C.7.5.1.1.2): bool [256] or [65536], indexed by the cell.

    Padding beyond the bits stored, such as -2000 in 12 bits, is only where the whole cell holds
    it: its lower bits may be those of a measurement.
    """
    values = stored_values(bits)
    if padding is None:
        return np.zeros(values.shape, np.bool_)
    first, last = padding
    if first > values.max() or last < values.min():
        values = _whole_cells(bits) >> bits.shift
        first, last = first >> bits.shift, last >> bits.shift
    return (values >= first) & (values <= last)


def modality_values(stored: npt.NDArray[np.int64], description: GreyDescription) -> Levels:
    """Modality LUT, or else the rescale (PS3.3 C.11.1): float64, one for each stored value."""
    if description.modality_lut is not None:
        return look_up(stored.astype(np.float64), description.modality_lut)
    return stored.astype(np.float64) * description.slope + description.intercept


def look_up(levels: Levels, table: LookupTable) -> Levels:
    """Applies a LUT; inputs beyond its ends take the end entries (PS3.3 C.11.2.1.1).

    Args:
        levels: float64 [N], all that there may be: if some are negative, so may the first input be
            that was written without its sign.
        table: uint16 entries.
    """
    first = with_sign(table, levels).first
    indices = np.clip(np.floor(levels) - first, 0, len(table.values) - 1)
    found: Levels = table.values[indices.astype(np.int64)].astype(np.float64)
    return found


def with_sign(table: LookupTable, levels: Levels) -> LookupTable:
    """A LUT whose first input has its sign, if it was written without; see `look_up`."""
    if levels.min() < 0 and table.first > max(levels.max(), 0x7FFF):
        return replace(table, first=table.first - 0x10000)
    return table


def apply_window(levels: Levels, window: Window) -> Levels:
    """Applies a window: output in [0, 1] (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    center, width = window.center, window.width
    match window.function:
        case "SIGMOID":
            # Beyond 700 the exponential overflows, and the result is black long before.
            exponents = np.clip(-4 * (levels - center) / width, -700, 700)
            sigmoid: Levels = 1 / (1 + np.exp(exponents))
            return sigmoid
        case "LINEAR_EXACT":
            return np.clip((levels - center) / width + 0.5, 0, 1)
        case "LINEAR":
            if width == 1:  # the formula's limit: one step just above the centre minus one half
                return (levels > center - 0.5).astype(np.float64)
            return np.clip((levels - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def _whole_cells(bits: SampleBits) -> npt.NDArray[np.int64]:
    """Values by pixel cell if the sample took all of it."""
    return stored_values(replace(bits, stored=bits.allocated, high=bits.allocated - 1))


def _some_counts(cells: Grey) -> npt.NDArray[np.int64]:
    """How often each cell occurs in a grid of rows and columns: int64 [256] or [65536]."""
    step = 1 + min(cells.shape) // _LOOKED_AT
    return np.bincount(cells[::step, ::step].ravel(), minlength=np.iinfo(cells.dtype).max + 1)


def _aligned(counts: npt.NDArray[np.int64], description: GreyDescription) -> SampleBits:
    """Bits of the sample, at the other end of the cell if the pixels disprove their place.

    Some writers leave High Bit at the end of the cell whatever they store. Then the cells hold
    something below the sample, where nothing may be, and nothing beyond its lower bits. Others
    forget it where samples lie at the upper end: then most are beyond, and nothing is below.
    Padding is no sample, and a few pixels may be dead.
    """
    bits = description.bits
    unused = bits.allocated - bits.stored
    low, cells = replace(bits, high=bits.stored - 1), _whole_cells(bits)
    first, last = description.padding or (1, 0)
    counts = np.where((cells >= first) & (cells <= last), 0, counts)
    few = counts.sum() * _FEW
    samples = stored_values(low)
    beyond = counts[(cells < samples.min()) | (cells > samples.max())].sum()
    below = counts[cells & ((1 << (bits.shift or unused)) - 1) != 0].sum()
    if bits.shift:
        return low if beyond <= few < below else bits
    upper = below <= few and 2 * beyond > counts.sum()
    return replace(bits, high=bits.allocated - 1) if upper else bits


def _values_of_interest(
    cells: Grey,
    levels: Levels,
    padded: npt.NDArray[np.bool_],
    counts: npt.NDArray[np.int64],
    description: GreyDescription,
) -> tuple[Levels, GreyRecipe, Window | LookupTable]:
    """Grey in [0, 1] for each cell, by the file's VOI LUT or window (PS3.3 C.11.2), or without.

    By the standard what is for processing has none, even if a window is left in the file. One that
    leaves no contrast is not believed. The one that was taken is told, too.
    """
    for proposal in () if description.for_processing else description.voi:
        if isinstance(proposal, Window):
            grey = apply_window(levels, proposal)
        else:
            proposal = with_sign(proposal, levels)
            grey = np.clip(look_up(levels, proposal) / proposal.full_scale, 0, 1)
        if _has_contrast(grey, counts):
            return grey, "window" if isinstance(proposal, Window) else "voi_lut", proposal
    if not description.for_processing and _is_display_ready(description):
        return levels / 255, "as_stored", stretched(0, 255)
    low, high = percentile_range(levels, np.where(padded, 0, histogram(cells)))
    window = stretched(low, high)
    return np.clip((levels - low) / window.width, 0, 1), "percentiles", window


def _has_contrast(grey: Levels, counts: npt.NDArray[np.int64]) -> bool:
    """Whether the film is more than one grey, but for 0.5 % at each end: a few pixels tell.

    By the standard a window is applied as it is (PS3.3 C.11.2.1.2); it does not foresee one beside
    all values. Such a film would be a blank, and no answer to it could be right.
    """
    low, high = percentile_range(grey, counts)
    return high > low


def _is_display_ready(description: GreyDescription) -> bool:
    """Full 8 bits without any transform: the same film as a PNG must give the same grey."""
    return (
        description.bits.allocated == description.bits.stored == 8
        and not description.bits.signed
        and description.modality_lut is None
        and (description.slope, description.intercept) == (1, 0)
    )
