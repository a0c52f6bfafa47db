"""DICOM films in a data set: training sees what the service sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from model.data.coco import DatasetError, ImageRecord
from model.data.film import read_film
from solo.decoding.dicom.decode import decode_dicom
from solo.decoding.radiograph import Limits
from tests.support.dicom import Pixels, dicom_file
from tests.support.films import chest

TWELVE: dict[str, Any] = {"BitsStored": 12, "HighBit": 11}
WINDOW = {"WindowCenter": 1800, "WindowWidth": 1500}


def ramp(low: int = 0, high: int = 4096) -> Pixels:
    """Every stored value once, as a film of 64 columns."""
    values = np.arange(low, high).reshape(-1, 64)
    return values.astype(np.int16) if low < 0 else values.astype(np.uint16)


def table(first: int, values: list[int], bits: int) -> Dataset:
    item = Dataset()
    item.LUTDescriptor = [len(values), first, bits]
    item.add_new("LUTData", "US", values)
    return item


CURVE = [round(65535 * (i / 4095) ** 2) for i in range(4096)]
FILES: dict[str, tuple[Pixels, dict[str, Any]]] = {
    "window": (ramp(), {**TWELVE, **WINDOW}),
    "several windows": (ramp(), {**TWELVE, "WindowCenter": [900, 5], "WindowWidth": [700, 9]}),
    "exact window": (ramp(), {**TWELVE, **WINDOW, "VOILUTFunction": "LINEAR_EXACT"}),
    "sigmoid": (ramp(), {**TWELVE, **WINDOW, "VOILUTFunction": "SIGMOID"}),
    "rescaled": (
        ramp(),
        {
            **TWELVE,
            "WindowCenter": 0,
            "WindowWidth": 900,
            "RescaleSlope": 0.5,
            "RescaleIntercept": -900,
        },
    ),
    "inverted": (ramp(), {**TWELVE, **WINDOW, "PhotometricInterpretation": "MONOCHROME1"}),
    "inverted by shape": (ramp(), {**TWELVE, **WINDOW, "PresentationLUTShape": "INVERSE"}),
    "table": (ramp(), {**TWELVE, "VOILUTSequence": [table(0, CURVE, 16)]}),
    "no window": (ramp(), TWELVE),
    "unusable window": (ramp(), {**TWELVE, "WindowCenter": 9, "WindowWidth": 0}),
    "padding": (ramp(), {**TWELVE, "PixelPaddingValue": 0, "PixelPaddingRangeLimit": 300}),
    "signed": (
        ramp(-2048, 2048),
        {**TWELVE, "PixelRepresentation": 1, "WindowCenter": 0, "WindowWidth": 2000},
    ),
    "8 bits": (np.arange(256, dtype=np.uint8).reshape(16, 16), {}),
    "8 bits, window": (
        np.arange(256, dtype=np.uint8).reshape(16, 16),
        {"WindowCenter": 100, "WindowWidth": 90},
    ),
    "several frames": (
        np.array([ramp(), ramp()[::-1]], np.uint16),
        {**TWELVE, **WINDOW, "NumberOfFrames": 2},
    ),
    "big endian": (chest(), {**TWELVE, **WINDOW, "syntax": ExplicitVRBigEndian}),
    "implicit": (chest(), {**TWELVE, **WINDOW, "syntax": ImplicitVRLittleEndian}),
    "deflated": (chest(), {**TWELVE, **WINDOW, "syntax": DeflatedExplicitVRLittleEndian}),
    "run lengths": (chest(), {**TWELVE, **WINDOW, "syntax": RLELossless}),
}


def read(path: Path, data: bytes, size: tuple[int, int]) -> Any:
    path.write_bytes(data)
    return read_film(ImageRecord(5, path, size[0], size[1], "p", ()))


@pytest.mark.parametrize("kind", FILES)
def test_training_sees_what_the_service_sees(kind: str, tmp_path: Path) -> None:
    pixels, elements = FILES[kind]
    data = dicom_file(pixels, **elements)
    served = decode_dicom(data, Limits(10**6), frame=0).pixels
    found = read(tmp_path / "film.dcm", data, served.shape)
    assert found.dtype == served.dtype
    np.testing.assert_allclose(found.astype(int), served.astype(int), atol=1)
    assert len(np.unique(served)) > 100 or kind == "8 bits, window"


def test_colour_becomes_the_same_grey(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3)).astype(np.uint8)
    data = dicom_file(
        pixels, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0
    )
    served = decode_dicom(data, Limits(10**6), frame=0).pixels
    np.testing.assert_array_equal(read(tmp_path / "film.dcm", data, (12, 10)), served)


@pytest.mark.parametrize("length", [200, 400, 3000])
def test_a_damaged_file_is_named(length: int, tmp_path: Path) -> None:
    data = dicom_file(chest(), **TWELVE)[:length]
    with pytest.raises(DatasetError, match=r"image 5 cannot be decoded: film\.dcm"):
        read(tmp_path / "film.dcm", data, chest().shape)
