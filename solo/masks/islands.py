"""Islands: pieces of a few pixels far from the rest of their mask, which look like a mistake."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from solo.contract.instances import inside

# Mask pixels between two pieces that belong together; even. Bones that break into large pieces
# have gaps of at most four.
_GAP: Final = 4


def remove_islands(
    masks: npt.NDArray[np.uint8], most_pixels: int, mask_threshold: float
) -> npt.NDArray[np.uint8]:
    """Soft masks without their islands, whose pixels become 0.

    Pieces of a mask (8-connected) belong together where at most four pixels lie between them along
    either axis, directly or by way of others: thin structures break into such. What belongs
    together is an island where it has at most `most_pixels` pixels in all and none of the mask's
    largest pieces, which stay, however small.

    Args:
        masks: uint8 [N, h, w], soft masks times 255; not changed.
        most_pixels: of an island; 0 leaves all masks as they are.
        mask_threshold: a pixel belongs to the mask above this probability.

    Returns:
        The same array where there is no island, else a copy.
    """
    if not most_pixels:
        return masks
    cleared: npt.NDArray[np.uint8] | None = None
    for index, mask in enumerate(inside(masks, mask_threshold).view(np.uint8)):
        islands = _islands(mask, most_pixels)
        if islands is not None:
            cleared = masks.copy() if cleared is None else cleared
            # Nothing above the threshold borders on an island, so that no pixel of another piece
            # is interpolated with one of its pixels.
            cleared[index][islands] = 0
    return masks if cleared is None else cleared


def _islands(mask: npt.NDArray[np.uint8], most_pixels: int) -> npt.NDArray[np.bool_] | None:
    """Bool [h, w], the pixels of islands; None without any."""
    count, piece = cv2.connectedComponents(mask, connectivity=8)
    if count <= 2:  # the background and one piece
        return None
    # Each side grows by half of the gap, and then touches.
    grown = cv2.dilate(mask, np.ones((_GAP + 1, _GAP + 1), np.uint8))
    count, group = cv2.connectedComponents(grown, connectivity=8)
    pixels = np.bincount(piece.ravel())
    pixels[0] = 0
    here = mask > 0
    is_island = np.bincount(group[here], minlength=count) <= most_pixels
    is_island[group[np.isin(piece, np.flatnonzero(pixels == pixels.max()))]] = False
    return here & is_island[group] if is_island[1:].any() else None
