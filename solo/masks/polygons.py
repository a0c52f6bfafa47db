"""Masks as plain run lengths and as polygons, made from the compressed run lengths of an answer."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from app.schemas import Instance, Polygons, Segmentation, UncompressedSegmentation

_TOLERANCE_PIXELS: Final = 1.0
_TOLERANCE_OF_SIDE: Final = 0.02
_FINER: Final = 2


def uncompressed(segmentation: Segmentation) -> UncompressedSegmentation:
    """The same runs as numbers (COCO's `maskApi.c`, rleFrString).

    Each character holds five bits, lowest first, and whether more follow; from the fourth on, a
    run is stored as its difference to the one before the last.
    """
    counts: list[int] = []
    value = shift = 0
    for code in segmentation.counts.encode("ascii"):
        bits = code - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    return UncompressedSegmentation(size=segmentation.size, counts=counts)


def bitmap(instance: Instance) -> npt.NDArray[np.uint8]:
    """A mask within its bounding box: 0 or 1, uint8 [height, width] of the box."""
    x, y, width, height = instance.bbox
    whole = coco_mask.decode(instance.compressed.model_dump())
    return np.ascontiguousarray(whole[y : y + height, x : x + width])


def polygons(instance: Instance) -> Polygons:
    """The outlines of a mask as COCO polygons, [x1, y1, x2, y2, ...] in pixels.

    A pixel covers [x, x + 1]. COCO's polygons know no holes: those of the mask are filled. Each
    part is simplified by at most a pixel, and less where the mask is small.
    """
    tolerance = min(_TOLERANCE_PIXELS, _TOLERANCE_OF_SIDE * max(instance.bbox[2:]))
    # Twice as fine, so that the line through outermost points comes near the pixels' rim, and an
    # object of one pixel has an area.
    fine = cv2.resize(bitmap(instance), None, fx=_FINER, fy=_FINER, interpolation=cv2.INTER_NEAREST)
    outlines, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for outline in outlines:
        simple = cv2.approxPolyDP(outline, _FINER * tolerance, closed=True)
        kept = simple if len(simple) > 2 else outline
        points = (kept[:, 0].astype(np.float64) + 0.5) / _FINER + instance.bbox[:2]
        found.append(points.ravel().tolist())
    return found
