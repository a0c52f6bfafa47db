"""What a page computes of stored pixels is what the model saw, however its grey came about."""

from __future__ import annotations

import io
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from solo.contract.greyscale import Grey
from solo.decoding.canvas import in_8_bits
from solo.decoding.decode import decode
from solo.decoding.dicom.pixel_layout import SampleBits
from solo.decoding.dicom.voi import to_grey
from solo.decoding.dicom.voi_attributes import GreyDescription, LookupTable
from solo.decoding.radiograph import Limits
from solo.decoding.stored_pixels import StoredPixels
from solo.decoding.window import Window
from tests.support.dicom import dicom_file
from tests.support.films import chest, jpeg, png
from tests.support.form_answers import shown

LIMITS = Limits(10**6)


def check(pixels: Grey, stored: StoredPixels, tolerance: float = 1) -> None:
    """The table is exact, and the window leads to it by the standard's formulas."""
    entries = 1 << stored.display.bits
    assert stored.table.shape == stored.values.shape == (entries,)
    assert not np.isinf(stored.values).any()
    np.testing.assert_array_equal(stored.table[stored.cells], in_8_bits(pixels))
    grey = shown(stored.values, asdict(stored.display))
    assert np.abs(grey - stored.table).max() <= tolerance


WINDOWS = st.builds(
    Window,
    st.floats(-5000, 5000),
    st.one_of(st.just(1.0), st.floats(1, 9000)),
    st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
)


@st.composite
def descriptions(draw: st.DrawFn) -> GreyDescription:
    allocated = draw(st.sampled_from([8, 16]))
    stored = draw(st.integers(2, allocated))
    high = draw(st.integers(stored - 1, allocated - 1))
    bits = SampleBits(allocated=allocated, stored=stored, high=high, signed=draw(st.booleans()))
    ends = st.integers(-(1 << stored - 1), (1 << stored) - 1)
    padding = draw(st.none() | st.tuples(ends, ends).map(lambda pair: (min(pair), max(pair))))
    curve = LookupTable(0, np.sqrt(np.arange(4096) * 4096).astype(np.uint16), 4095)
    return GreyDescription(
        bits=bits,
        padding=padding,
        modality_lut=draw(st.sampled_from([None, None, curve])),
        slope=draw(st.sampled_from([1.0, 0.37, -2.0, 1e-6, 1e6])),
        intercept=draw(st.sampled_from([0.0, -1024.0, 0.5])),
        voi=tuple(draw(st.lists(WINDOWS, max_size=1))),
        inverted=draw(st.booleans()),
        for_processing=draw(st.booleans()),
    )


@given(descriptions(), st.integers(0, 2**32 - 1))
def test_every_window_and_stretch_is_that_of_the_table(
    description: GreyDescription, seed: int
) -> None:
    dtype = np.uint8 if description.bits.allocated == 8 else np.uint16
    cells = np.random.default_rng(seed).integers(0, 1 << dtype().itemsize * 8, (40, 30), dtype)
    pixels, _, stored, _ = to_grey(cells, description)
    check(pixels, stored())


def steps(*, falling: bool) -> LookupTable:
    """A line over values 1000 to 3000, flat beside it."""
    line = np.linspace(4095, 0, 2001) if falling else np.linspace(0, 4095, 2001)
    return LookupTable(1000, line.round().astype(np.uint16), 4095)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("falling", [False, True])
def test_a_straight_voi_lut_is_a_window(falling: bool, inverted: bool) -> None:
    bits = SampleBits(allocated=16, stored=12, high=11, signed=False)
    description = GreyDescription(bits, voi=(steps(falling=falling),), inverted=inverted)
    pixels, recipe, stored, _ = to_grey(np.arange(4096, dtype=np.uint16)[None], description)
    assert recipe == "voi_lut"
    assert stored().display.inverted is (falling != inverted)
    check(pixels, stored(), tolerance=2)


@pytest.mark.parametrize(
    "values",
    [[0, 1], [0, 0, 255, 255], [255, 0], [3, 200, 9, 250, 0], [0, 255, 0], [100, 101]],
)
@pytest.mark.parametrize(
    "cells", [np.arange(256, dtype=np.uint8), np.arange(4096, dtype=np.uint16)]
)
def test_any_voi_lut_has_a_window(values: list[int], cells: Grey) -> None:
    wide = cells.dtype == np.uint16
    bits = SampleBits(allocated=16, stored=12, high=11, signed=False)
    bits = bits if wide else SampleBits(allocated=8, stored=8, high=7, signed=False)
    table = LookupTable(50, np.array(values, np.uint16), 65535 if values == [100, 101] else 255)
    pixels, _, stored, _ = to_grey(cells[None], GreyDescription(bits, voi=(table,)))
    found = stored()
    np.testing.assert_array_equal(found.table[found.cells], in_8_bits(pixels))
    window = found.display.window
    assert np.isfinite(window.center)
    assert 0 < window.width < np.inf


def tiff(pixels: npt.NDArray[Any], photometric: str = "minisblack") -> bytes:
    output = io.BytesIO()
    tifffile.imwrite(output, pixels, photometric=photometric, metadata=None)
    return output.getvalue()


DEEP = chest()
BYTES = (DEEP // 16).astype(np.uint8)
COLOUR = np.dstack([BYTES, BYTES // 2, BYTES // 3])
FILES = {
    "png": (png(BYTES), 8),
    "png of 16 bits": (png(DEEP), 16),
    "png of one value": (png(np.full((20, 20), 700, np.uint16)), 16),
    "png in colour": (png(COLOUR), 8),
    "png in colour of 16 bits": (png(COLOUR.astype(np.uint16) * 200), 16),
    "jpeg in colour": (jpeg(COLOUR), 8),
    "tiff": (tiff(BYTES), 8),
    "tiff of 16 bits": (tiff(DEEP), 16),
    "tiff, signed": (tiff(DEEP.astype(np.int16) - 2000), 16),
    "tiff, real": (tiff(DEEP.astype(np.float32) / 7), 16),
    "tiff, white is 0": (tiff(BYTES, photometric="miniswhite"), 8),
    "dicom": (dicom_file(DEEP, WindowCenter=1500, WindowWidth=2000), 16),
    "dicom in colour": (
        dicom_file(COLOUR, SamplesPerPixel=3, PhotometricInterpretation="RGB"),
        8,
    ),
    "dicom without a scale": (dicom_file(DEEP, RescaleSlope="1e300", RescaleIntercept="-9e99"), 16),
    "dicom of a tiny scale": (dicom_file(DEEP, RescaleSlope="1e-300", RescaleIntercept=5), 16),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_files_of_every_kind_have_stored_pixels(name: str) -> None:
    data, bits = FILES[name]
    radiograph = decode(data, LIMITS)
    stored = radiograph.stored()
    assert stored.display.bits == bits
    assert stored.cells.shape == (radiograph.info.height, radiograph.info.width)
    check(radiograph.pixels, stored)


def test_the_file_s_own_window_and_units_are_told() -> None:
    elements: dict[str, Any] = {"RescaleSlope": 0.5, "RescaleIntercept": -100}
    film = DEEP.copy()
    film[0] = 4000
    data = dicom_file(
        film, WindowCenter=700, WindowWidth=900, PhotometricInterpretation="MONOCHROME1",
        PixelPaddingValue=4000, **elements,
    )  # fmt: skip
    stored = decode(data, LIMITS).stored()
    assert stored.display.window == Window(700, 900, "LINEAR")
    assert stored.display.inverted
    np.testing.assert_array_equal(stored.cells, film)
    assert stored.values[1000] == 400
    assert np.isnan(stored.values[4000])
    assert stored.table[4000] == 0
