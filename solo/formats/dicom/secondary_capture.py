"""Secondary Capture (PS3.3 A.8.1): the overlay as an image that every viewer shows."""

from __future__ import annotations

from typing import Final

import cv2
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sr.codedict import codes

from solo.formats.dicom.modules import coded, notice
from solo.formats.dicom.source import Source
from solo.formats.pictures import overlay
from solo.result import Result

_JPEG: Final = (
    *(cv2.IMWRITE_JPEG_QUALITY, 90),
    # What YBR_FULL_422 says (C.7.6.3.1.2); OpenCV's own choice halves the rows too.
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422),
)


def fill_secondary_capture(dataset: Dataset, result: Result, source: Source) -> bytes:
    """Adds what is its own to the common modules.

    Args:
        dataset: with the common modules.
        result: with the radiograph's pixels.
        source: the film.

    Returns:
        The encapsulated pixel data, of an even length: JPEG baseline.

    Raises:
        ValueError: for a result without pixels.
    """
    if result.pixels is None:
        raise ValueError("a secondary capture needs the film's pixels: ask for `wants_pixels`")
    picture = overlay(result.pixels, result)
    jpeg = cv2.imencode(".jpg", picture, _JPEG)[1].tobytes()
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.ConversionType, dataset.Laterality = "WSD", ""
    dataset.DerivationDescription = f"Outlines of a segmentation. {notice(result)}"
    image = source.reference()
    image.PurposeOfReferenceCodeSequence = [coded(codes.DCM.SourceImageForImageProcessingOperation)]
    dataset.SourceImageSequence = [image]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "YBR_FULL_422"
    dataset.PlanarConfiguration = 0
    dataset.Rows, dataset.Columns = picture.shape[:2]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation = 0
    dataset.LossyImageCompression = "01"
    dataset.LossyImageCompressionRatio = f"{picture.nbytes / len(jpeg):.2f}"
    dataset.LossyImageCompressionMethod = "ISO_10918_1"
    # The end of a value of undefined length is an item of its own (PS3.5 A.4).
    return encapsulate([jpeg], has_bot=True) + b"\xfe\xff\xdd\xe0\0\0\0\0"
