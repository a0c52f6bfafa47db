"""Polygons of masks: outlines as COCO writes them."""

from __future__ import annotations

from typing import Final

import cv2

from solo.masks.outlines import outer_outlines
from solo.masks.rle import MaskRuns

_TOLERANCE_PIXELS: Final = 1.0
_TOLERANCE_OF_SIDE: Final = 0.02


def polygons(runs: MaskRuns) -> list[list[float]]:
    """The outlines of a mask as COCO polygons, [x1, y1, x2, y2, ...] in pixels.

    A pixel covers [x, x + 1]. COCO's polygons know no holes: those of the mask are filled. Each
    part is simplified by at most a pixel, and less where the mask is small.
    """
    tolerance = min(_TOLERANCE_PIXELS, _TOLERANCE_OF_SIDE * max(runs.bbox[2:]))
    found = []
    # In half pixels, so that the line through outermost points comes near the pixels' rim, and an
    # object of one pixel has an area.
    for outline in outer_outlines(*runs.column_runs()):
        simple = cv2.approxPolyDP(outline, 2 * tolerance, closed=True)[:, 0]
        kept = simple if len(simple) > 2 else outline
        found.append(((kept + 0.5) / 2).ravel().tolist())
    return found
