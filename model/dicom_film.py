"""Reads a DICOM film for training: pydicom's own pixel pipeline, to the grey that serving sees.

The service has a pipeline of its own, for bytes that nobody vouches for (`solo.decoding`); tests
hold the two together.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from pydicom import Dataset, dcmread
from pydicom.pixels.processing import apply_modality_lut, apply_voi, apply_windowing

from solo.contract.greyscale import Grey, as_grey, percentile_range

Values = npt.NDArray[np.float64]

_FAR = 1e9  # beyond every window


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file's first 132 bytes have the prefix (PS3.10 7.1)."""
    return head[128:132] == b"DICM"


def read_dicom(path: Path) -> Grey:
    """The film as its file wants it shown, in MONOCHROME2 polarity; the first frame of several.

    Returns:
        uint8 or uint16 [height, width] as the file allocates, its full range black to white.

    Raises:
        Exception: whatever pydicom finds wrong with the file.
    """
    dataset = dcmread(path)
    stored = dataset.pixel_array
    if int(dataset.get("NumberOfFrames") or 1) > 1:
        stored = stored[0]
    if dataset.SamplesPerPixel == 3:
        return as_grey(cv2.cvtColor(as_grey(np.ascontiguousarray(stored)), cv2.COLOR_RGB2GRAY))
    white = 255 if dataset.BitsAllocated == 8 else 65535
    padded = _padding(stored, dataset)
    grey = _shown(stored, dataset, padded)
    if (
        dataset.PhotometricInterpretation == "MONOCHROME1"
        or dataset.get("PresentationLUTShape") == "INVERSE"
    ):
        grey = 1 - grey
    grey[padded] = 0  # no measurement is background
    return as_grey((grey * white).round().astype(np.uint8 if white == 255 else np.uint16))


def _shown(
    stored: npt.NDArray[np.generic], dataset: Dataset, padded: npt.NDArray[np.bool_]
) -> Values:
    """Grey in [0, 1], by the VOI LUT or the first window (PS3.3 C.11.2), or by percentiles."""
    values = np.asarray(apply_modality_lut(stored, dataset), np.float64)
    if dataset.get("PresentationIntentType") != "FOR PROCESSING":
        if dataset.get("VOILUTSequence"):
            full_scale = (1 << int(dataset.VOILUTSequence[0].LUTDescriptor[2])) - 1
            whole = np.floor(values).astype(np.int64)
            return np.asarray(apply_voi(whole, dataset), np.float64) / full_scale
        if _has_window(dataset):
            return _windowed(values, dataset)
        if _is_display_ready(dataset):
            return values / 255
    levels, counts = np.unique(values[~padded], return_counts=True)
    low, high = percentile_range(levels, counts)
    return np.clip((values - low) / (high - low if high > low else 1.0), 0, 1)


def _windowed(values: Values, dataset: Dataset) -> Values:
    """The window's output, stretched from pydicom's range of it to [0, 1]."""
    with np.errstate(over="ignore"):
        shown = np.asarray(apply_windowing(np.append(values, [-_FAR, _FAR]), dataset), np.float64)
    black, bright = shown[-2:]
    return np.asarray((shown[:-2] - black) / (bright - black), np.float64).reshape(values.shape)


def _has_window(dataset: Dataset) -> bool:
    width = dataset.get("WindowWidth")
    if width is None or dataset.get("WindowCenter") is None:
        return False
    first = float(width[0]) if hasattr(width, "__getitem__") else float(width)
    return first >= 1 if dataset.get("VOILUTFunction", "LINEAR") == "LINEAR" else first > 0


def _is_display_ready(dataset: Dataset) -> bool:
    rescale = float(dataset.get("RescaleSlope", 1)), float(dataset.get("RescaleIntercept", 0))
    return (
        dataset.BitsAllocated == dataset.BitsStored == 8
        and dataset.PixelRepresentation == 0
        and not dataset.get("ModalityLUTSequence")
        and rescale == (1, 0)
    )


def _padding(stored: npt.NDArray[np.generic], dataset: Dataset) -> npt.NDArray[np.bool_]:
    """Where stored values are padding (PS3.3 C.7.5.1.1.2)."""
    value = dataset.get("PixelPaddingValue")
    if value is None:
        return np.zeros(stored.shape, np.bool_)
    limit = dataset.get("PixelPaddingRangeLimit", value)
    low, high = sorted((int(value), int(limit)))
    samples = stored.astype(np.int64)
    return np.asarray((samples >= low) & (samples <= high), np.bool_)
