"""Reads a film from disk for training and evaluation."""

from __future__ import annotations

import cv2
import numpy as np

from model.data.coco import DatasetError, ImageRecord
from model.dicom_film import looks_like_dicom, read_dicom
from solo.contract.greyscale import Grey, as_grey, luminance, stretch


def read_film(record: ImageRecord) -> Grey:
    """The grey image of a record, PNG, JPEG or DICOM, as the service would see it.

    Orientation tags are ignored, so that outlines fit.

    Returns:
        uint8 or uint16 [height, width], the dtype's full range is black to white.

    Raises:
        DatasetError: if it cannot be decoded, or is not of the size that its annotations are for.
    """
    image, ready = _decode(record)
    if image.shape[:2] != (record.height, record.width):
        raise DatasetError(
            f"image {record.image_id} is {image.shape[0]} x {image.shape[1]} pixels, "
            f"its annotations are for {record.height} x {record.width}"
        )
    return image if ready else stretch(luminance(image))


def _decode(record: ImageRecord) -> tuple[Grey, bool]:
    """The pixels of a file, and whether they are grey from black to white already."""
    content = np.fromfile(record.path, np.uint8)
    try:
        if looks_like_dicom(content[:132].tobytes()):
            return read_dicom(record.path), True
        return as_grey(np.asarray(cv2.imdecode(content, cv2.IMREAD_UNCHANGED))), False
    except Exception:  # an empty file, a damaged one, and whatever else decoders find
        name = record.path.name
        raise DatasetError(f"image {record.image_id} cannot be decoded: {name}") from None
