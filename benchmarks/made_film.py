"""A large film to time with, made of the example."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pydicom

from benchmarks.service_process import ROOT


def large_film(height: int, width: int) -> bytes:
    """The example film, enlarged and with noise, as an uncompressed 12-bit DICOM."""
    dataset = pydicom.dcmread(ROOT / "examples/chest.dcm")
    small = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
    large = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float64)
    large += np.random.default_rng(0).normal(0, 8, large.shape)
    dataset.Rows, dataset.Columns = height, width
    dataset.PixelData = np.clip(large, 0, 4095).astype("<u2").tobytes()
    out = io.BytesIO()
    dataset.save_as(out)
    return out.getvalue()
