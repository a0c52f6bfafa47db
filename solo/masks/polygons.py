"""Polygons of masks: outlines as COCO writes them."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from solo.masks.rle import MaskRuns

_TOLERANCE_PIXELS: Final = 1.0
_TOLERANCE_OF_SIDE: Final = 0.02
_FINER: Final = 2


def polygons(runs: MaskRuns) -> list[list[float]]:
    """The outlines of a mask as COCO polygons, [x1, y1, x2, y2, ...] in pixels.

    A pixel covers [x, x + 1]. COCO's polygons know no holes: those of the mask are filled. Each
    part is simplified by at most a pixel, and less where the mask is small.
    """
    tolerance = min(_TOLERANCE_PIXELS, _TOLERANCE_OF_SIDE * max(runs.bbox[2:]))
    # Twice as fine, so that the line through outermost points comes near the pixels' rim, and an
    # object of one pixel has an area.
    fine = cv2.resize(runs.crop(), None, fx=_FINER, fy=_FINER, interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for outline in outlines:
        simple = cv2.approxPolyDP(outline, _FINER * tolerance, closed=True)
        kept = simple if len(simple) > 2 else outline
        points = (kept[:, 0].astype(np.float64) + 0.5) / _FINER + runs.bbox[:2]
        found.append(points.ravel().tolist())
    return found
