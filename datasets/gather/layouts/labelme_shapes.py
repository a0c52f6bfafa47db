"""Shapes of labelme's files as COCO's outlines: polygons, rectangles, circles and masks."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from datasets.gather.layouts.pictures import Size, as_rle, read_labels
from model.data.coco_values import is_text
from model.data.outlines import read_outline

Shape = dict[str, Any]
_CORNERS = 64  # of a circle's polygon: a thousandth of its radius off at most


def unite(parts: list[object], size: Size) -> object:
    """One `segmentation` of several, in polygons where all are."""
    if len(parts) == 1:
        return parts[0]
    rings = [ring for part in parts if isinstance(part, list) for ring in part]
    masks = [part for part in parts if isinstance(part, dict)]
    if not masks:
        return rings
    runs = [read_outline(mask, size)[1] for mask in masks]
    runs += coco_mask.frPyObjects(rings, *size) if rings else []
    merged = coco_mask.merge(runs)
    return {"size": list(size), "counts": merged["counts"].decode()}


def outline_of(shape: Shape, size: Size) -> object:
    """COCO's `segmentation` of a shape.

    Args:
        shape: as labelme's file has it.
        size: (height, width) of the film.

    Raises:
        ValueError: if it encloses nothing, or cannot be read.
    """
    points, kind = shape.get("points"), shape.get("shape_type") or "polygon"
    if not isinstance(points, list) or not all(
        isinstance(point, list) and len(point) == 2 and _are_numbers(point) for point in points
    ):
        raise ValueError("its points are no finite numbers")
    segmentation: object
    match kind, points:
        case ("polygon" | "oriented_rectangle", _) | ("rectangle", [_, _, _, _]):  # X-AnyLabeling's
            segmentation = [[value for point in points for value in point]]
        case "rectangle", [[x1, y1], [x2, y2]]:
            segmentation = [[x1, y1, x2, y1, x2, y2, x1, y2]]
        case "circle", [[x, y], [rim_x, rim_y]]:
            segmentation = [_circle(x, y, math.hypot(rim_x - x, rim_y - y))]
        case "mask", [[x1, y1], [x2, y2]]:
            segmentation = _mask(shape.get("mask"), (x1, y1, x2, y2), size)
        case (("rectangle" | "circle" | "mask"), _):
            raise ValueError(f"a {kind} has two points, it has {len(points)}")
        case _:
            raise ValueError(f"a shape of type '{kind}' encloses no area")
    read_outline(segmentation, size)
    return segmentation


def _are_numbers(values: list[object]) -> bool:
    return all(type(value) in (int, float) and abs(value) < 1e9 for value in values)  # type: ignore[arg-type]


def _circle(x: float, y: float, radius: float) -> list[float]:
    angle = np.arange(_CORNERS) * (2 * np.pi / _CORNERS)
    radius /= math.sqrt(math.sin(2 * np.pi / _CORNERS) / (2 * np.pi / _CORNERS))  # of equal area
    ring = np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], 1)
    return [float(value) for value in ring.ravel()]


def _mask(data: object, box: tuple[float, float, float, float], size: Size) -> object:
    """A mask's `segmentation`; the second corner of its box is within it."""
    left, top, right, bottom = map(round, box)
    height, width = bottom - top + 1, right - left + 1
    if not is_text(data):
        raise ValueError("a mask without its picture")
    if min(left, top) < 0 or min(height, width) < 1 or bottom >= size[0] or right >= size[1]:
        raise ValueError("a mask's box reaches out of the film")
    try:
        content = base64.b64decode(data, validate=True)
    except binascii.Error:
        raise ValueError("a mask's picture is no base64") from None
    mask = np.zeros(size, bool)
    try:
        mask[top : bottom + 1, left : right + 1] = read_labels(content, (height, width)) > 0
    except ValueError as error:
        raise ValueError(f"a mask's picture: {error}") from None
    return as_rle(mask)
