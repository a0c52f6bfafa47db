"""Reads a film from disk for training and evaluation."""

from __future__ import annotations

import cv2
import numpy as np

from model.coco import DatasetError, ImageRecord
from model.contract.grey import Grey, as_grey, luminance, stretch


def read_film(record: ImageRecord) -> Grey:
    """The grey image of a record, as the service would see it.

    Orientation tags are ignored, so that outlines fit.

    Returns:
        uint8 or uint16 [height, width], the dtype's full range is black to white.

    Raises:
        DatasetError: if it cannot be decoded, or is not of the size that its annotations are for.
    """
    try:
        image = cv2.imdecode(np.fromfile(record.path, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:  # an empty file
        image = None
    if image is None or image.dtype not in (np.uint8, np.uint16):
        raise DatasetError(f"image {record.image_id} cannot be decoded: {record.path.name}")
    if image.shape[:2] != (record.height, record.width):
        raise DatasetError(
            f"image {record.image_id} is {image.shape[0]} x {image.shape[1]} pixels, "
            f"its annotations are for {record.height} x {record.width}"
        )
    return stretch(luminance(as_grey(image)))
