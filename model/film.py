"""Reads a film from disk for training and evaluation."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from model.coco import DatasetError, ImageRecord


def read_film(record: ImageRecord) -> npt.NDArray[np.uint8]:
    """The grey image of a record, orientation tags ignored so that outlines fit.

    Returns:
        uint8 [height, width].

    Raises:
        DatasetError: if it cannot be decoded, or is not of the size that its annotations are for.
    """
    flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imdecode(np.fromfile(record.path, np.uint8), flags)
    if image is None:
        raise DatasetError(f"image {record.image_id} cannot be decoded: {record.path.name}")
    if image.shape != (record.height, record.width):
        raise DatasetError(
            f"image {record.image_id} is {image.shape[0]} x {image.shape[1]} pixels, "
            f"its annotations are for {record.height} x {record.width}"
        )
    return image.astype(np.uint8, copy=False)
