"""Outline uncertainty: how much of a soft mask is neither inside nor outside."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from solo.contract.instances import inside

_DOUBT: Final = (np.uint8(51), np.uint8(204))  # probabilities of 0.2 and 0.8


def outline_uncertainty(
    masks: npt.NDArray[np.uint8], mask_threshold: float
) -> npt.NDArray[np.float64]:
    """Pixels of doubt over the square root of the area, both in pixels of the soft mask.

    Doubt is a probability from 0.2 to 0.8, wherever the threshold draws the outline; the area is
    what lies above it. An outline twice as long around a mask of four times the area has as much
    uncertainty if it is as sharp.

    Args:
        masks: uint8 [N, h, w], soft masks times 255.
        mask_threshold: a pixel belongs to the mask above this probability.

    Returns:
        float64 [N], 0 or above.
    """
    least, most = _DOUBT
    doubt = _count((masks >= least) & (masks <= most))
    # A mask that has a pixel on the film may have none here: interpolation reaches half a pixel.
    return doubt / np.sqrt(np.maximum(_count(inside(masks, mask_threshold)), 1))


def _count(masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The pixels of each mask; a sum over booleans would take much longer."""
    return np.array([np.count_nonzero(mask) for mask in masks], np.float64)
