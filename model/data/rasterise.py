"""Rasterisation: outlines to coverage masks that keep the sub-pixel place of every edge."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from model.data.coco import Annotation

_SUPERSAMPLING = 4

Affine = npt.NDArray[np.float64]


def coverage(
    annotation: Annotation, to_canvas: Affine, canvas_size: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    """Coverage mask of an object: the part of each canvas pixel that it covers.

    Drawn at four times the canvas, then averaged. pycocotools draws, because its pixel corners are
    at integers as the polygons' are. OpenCV has pixel centres there, and also fills the pixels
    under the outline: even at four times the canvas that is a rim of a tenth of a pixel.

    Args:
        annotation: the object, in image pixels.
        to_canvas: [2, 3], from image to canvas coordinates, both with corners at integers.
        canvas_size: (height, width).

    Returns:
        uint8 [height, width], 0 to 255.
    """
    canvas = np.zeros(canvas_size, np.uint8)
    rows, columns = _window(annotation, to_canvas, canvas_size)
    size = rows.stop - rows.start, columns.stop - columns.start
    if min(size) > 0:
        to_window = to_canvas.copy()
        to_window[:, 2] -= (columns.start, rows.start)
        canvas[rows, columns] = _draw(annotation, to_window, size)
    return canvas


def _window(
    annotation: Annotation, to_canvas: Affine, canvas_size: tuple[int, int]
) -> tuple[slice, slice]:
    """Rows and columns of the canvas that hold all of an object that is on it.

    A crowded film is drawn many times faster so than with the whole canvas for every object.
    """
    if annotation.rle is not None:
        left, top, width, height = coco_mask.toBbox(annotation.rle)
        box = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (width, height) + (left, top)
    else:
        box = np.concatenate(annotation.polygons)
    placed = box @ to_canvas[:, :2].T + to_canvas[:, 2]
    limits = canvas_size[::-1]
    left, top = np.clip(np.floor(placed.min(0)) - 1, 0, limits).astype(int).tolist()
    right, bottom = np.clip(np.ceil(placed.max(0)) + 1, 0, limits).astype(int).tolist()
    return slice(top, bottom), slice(left, right)


def _draw(
    annotation: Annotation, to_canvas: Affine, canvas_size: tuple[int, int]
) -> npt.NDArray[np.uint8]:
    height, width = canvas_size[0] * _SUPERSAMPLING, canvas_size[1] * _SUPERSAMPLING
    to_fine = to_canvas * _SUPERSAMPLING
    if annotation.rle is not None:
        mask = coco_mask.decode(annotation.rle)
        fine = cv2.warpAffine(mask, _centred(to_fine), (width, height), flags=cv2.INTER_NEAREST)
    else:
        rings = [points @ to_fine[:, :2].T + to_fine[:, 2] for points in annotation.polygons]
        flat = [ring.ravel().tolist() for ring in rings]
        fine = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(flat, height, width)))
    return _shrink(np.ascontiguousarray(fine) * np.uint8(255), canvas_size)


def warp(
    image: npt.NDArray[np.uint8], to_canvas: Affine, canvas_size: tuple[int, int], fill: int
) -> npt.NDArray[np.uint8]:
    """Puts an image on the canvas by an affine map, anti-aliased twofold.

    Args:
        image: uint8 [h, w].
        to_canvas: [2, 3], corners at integers.
        canvas_size: (height, width).
        fill: grey value where there is no image.
    """
    fine_size = (canvas_size[1] * 2, canvas_size[0] * 2)
    fine = cv2.warpAffine(
        image, _centred(to_canvas * 2), fine_size, flags=cv2.INTER_LINEAR, borderValue=fill
    )
    return _shrink(fine, canvas_size)


def _shrink(fine: cv2.typing.MatLike, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    return cv2.resize(fine, size[::-1], interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _centred(affine: Affine) -> Affine:
    """The same map for OpenCV, whose coordinates have pixel centres at integers."""
    shifted = affine.copy()
    shifted[:, 2] += affine[:, :2] @ (0.5, 0.5) - 0.5
    return shifted
