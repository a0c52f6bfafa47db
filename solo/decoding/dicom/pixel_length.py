"""Length of the pixel data against the Image Pixel module (PS3.5 8.1.1): excess padding or not."""

from __future__ import annotations

from typing import Final

import numpy as np

from solo.contract.greyscale import Grey
from solo.decoding.dicom.pixel_layout import PixelLayout
from solo.errors import MalformedError, TruncatedError

_ROWS: Final = 64  # that are looked at
_SHEAR: Final = 2  # what a row may differ from the next, in differences of neighbours within it
_SMOOTH: Final = 10  # as a part of all grey: less is no shear
_MOST_UNPACKED: Final = 3  # bytes too many: some encoders code the padding to an even length


def is_exact(length: int, layout: PixelLayout, frames: int = 1) -> bool:
    """Whether so many bytes are those of the frames, perhaps padded to an even number."""
    return 0 <= length - layout.frame_bytes * frames <= 1


def check_length(
    data: memoryview,
    length: int,
    expected: int,
    layout: PixelLayout,
    *,
    frames: int = 1,
    unpacked: bool = False,
) -> None:
    """Checks that the pixels are there, and that what exceeds them cannot be a part of them.

    PS3.5 8.1.1 has excess padding accepted. Yet more bytes than are needed may also tell of a wrong
    header, which would shear the rows: of wider rows or samples, if they divide by the rows; of
    anything, unless they are zeros, less than a row or whole rows.

    Args:
        data: what there is of the pixels.
        length: of the pixels as it is declared, in bytes.
        expected: how many are needed.
        layout: what the DICOM header says.
        frames: how many images the bytes are of.
        unpacked: whether a codec made them, which makes more or less of damaged data.

    Raises:
        TruncatedError: if there are fewer.
        MalformedError: if there are more, and not by padding.
    """
    shape = f"{frames} x {layout.rows} x {layout.columns} pixels"
    if len(data) < expected:
        raise TruncatedError(
            f"the pixel data have {len(data):,} bytes, but {shape} need {expected:,}"
        )
    excess = length - expected
    if excess <= 1:
        return
    row, column = expected // (frames * layout.rows), expected // layout.columns
    step = column if frames == 1 else frames * row // layout.columns
    is_padding = excess < row or (excess % row == 0 and excess < expected // frames)
    if unpacked:
        is_padding = excess <= _MOST_UNPACKED
    is_zeros = len(data) == length and not np.frombuffer(data, np.uint8)[expected:].any()
    if excess >= step and excess % step <= 1:
        other = "other columns or samples" if frames == 1 else "padding after each frame"
        reason = f": they may have {other}, which cannot be told"
    elif is_padding or is_zeros:
        return
    else:
        reason = ", and not by padding: they are damaged, or their DICOM header is wrong"
    raise MalformedError(
        f"the pixel data have {length:,} bytes, more than the {expected:,} that {shape} need"
        + reason
    )


def check_rows(cells: Grey) -> None:
    """Checks that the rows of a film with excess continue each other, as sheared ones do not.

    Args:
        cells: uint8 or uint16 [H, W] or [H, W, 3].

    Raises:
        MalformedError: if a row differs from the next by more than neighbours within it.
    """
    if len(cells) < 2:
        return
    first = np.linspace(0, len(cells) - 2, _ROWS).astype(np.intp)
    rows, below = cells[first].astype(np.int32), cells[first + 1].astype(np.int32)
    down = np.abs(below - rows).mean()
    if down > _SHEAR * np.abs(np.diff(rows, axis=1)).mean() and down > rows.std() / _SMOOTH:
        raise MalformedError(
            "the pixel data are longer than their DICOM header says, and their rows do not "
            "continue each other: it is wrong"
        )
