"""Outline uncertainty: how much of a soft mask is neither inside nor outside."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from solo.contract.instances import inside

_DOUBT: Final = (np.uint8(26), np.uint8(229))  # probabilities from 0.1 to 0.9


def outline_uncertainty(
    masks: npt.NDArray[np.uint8], mask_threshold: float
) -> npt.NDArray[np.float64]:
    """Pixels of doubt for each pixel of the area, both in pixels of the soft mask.

    Doubt is a probability from 0.1 to 0.9, wherever the threshold draws the outline; the area is
    what lies above it. Like what an outline that is a little off costs in Dice, it is larger for
    small and thin objects. `python -m experiments.outlines` measures it beside others.

    Args:
        masks: uint8 [N, h, w], soft masks times 255.
        mask_threshold: a pixel belongs to the mask above this probability.

    Returns:
        float64 [N], 0 or above; where little is above the threshold, more than 1.
    """
    least, most = _DOUBT
    doubt = _count((masks >= least) & (masks <= most))
    # A mask that has a pixel on the film may have none here: interpolation reaches half a pixel.
    return doubt / np.maximum(_count(inside(masks, mask_threshold)), 1)


def _count(masks: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """The pixels of each mask; a sum over booleans would take much longer."""
    return np.array([np.count_nonzero(mask) for mask in masks], np.float64)
