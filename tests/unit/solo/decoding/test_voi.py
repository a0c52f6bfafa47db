from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataset import FileDataset
from pydicom.filewriter import dcmwrite
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

from solo.contract.greyscale import Grey, as_grey
from solo.decoding.dicom.file import parse_dicom
from solo.decoding.dicom.pixel_layout import SampleBits
from solo.decoding.dicom.voi import (
    apply_window,
    look_up,
    modality_values,
    padding_mask,
    stored_values,
    to_grey,
)
from solo.decoding.dicom.voi_attributes import GreyDescription, LookupTable
from solo.decoding.window import Window, WindowFunction
from tests.support.dicom import dicom_dataset

TWELVE = SampleBits(allocated=16, stored=12, high=11, signed=False)
SIGNED = replace(TWELVE, signed=True)
TWELVE_BITS = GreyDescription(TWELVE)
FULL_RANGE = Window(2048, 4096, "LINEAR")


def levels(*values: float) -> npt.NDArray[np.float64]:
    return np.array(values, np.float64)


def grey(
    cells: list[int], description: GreyDescription, dtype: type[np.uint8 | np.uint16] = np.uint16
) -> list[int]:
    pixels, *_ = to_grey(as_grey(np.array([cells], dtype)), description)
    return [int(value) for value in pixels[0]]


def test_linear_window_runs_from_its_first_to_its_last_value() -> None:
    # PS3.3 C.11.2.1.2: centre 2048 and width 4096 take 0 to black and 4095 to white
    output = apply_window(levels(-1, 0, 1365, 4095, 4096), FULL_RANGE)
    assert output.tolist() == pytest.approx([0, 0, 1365 / 4095, 1, 1])


def test_linear_window_of_width_one_is_a_step() -> None:
    assert apply_window(levels(99, 99.5, 100), Window(100, 1, "LINEAR")).tolist() == [0, 0, 1]


def test_linear_exact_window_has_its_center_in_the_middle() -> None:
    window = Window(100, 40, "LINEAR_EXACT")
    output = apply_window(levels(79, 80, 90, 100, 120, 121), window)
    assert output.tolist() == pytest.approx([0, 0, 0.25, 0.5, 1, 1])


def test_sigmoid_window_follows_its_formula_without_overflow() -> None:
    output = apply_window(levels(-1e9, 90, 100, 110, 1e9), Window(100, 40, "SIGMOID"))
    e = float(np.e)
    assert output.tolist() == pytest.approx([0, 1 / (1 + e), 0.5, e / (1 + e), 1])


def test_samples_are_shifted_masked_and_signed() -> None:
    assert stored_values(replace(TWELVE, high=15))[0xABCD] == 0xABC
    assert stored_values(TWELVE)[0xFABC] == 0xABC  # the upper bits held an overlay
    assert stored_values(SIGNED)[[0x7FF, 0x800, 0xFFF, 0xF001]].tolist() == [2047, -2048, -1, 1]
    assert len(stored_values(SampleBits(allocated=8, stored=8, high=7, signed=True))) == 256


def test_rescale_comes_before_the_window() -> None:
    description = replace(TWELVE_BITS, slope=2, intercept=-1000, voi=(Window(0, 2000, "LINEAR"),))
    # 500 -> 0, just right of the middle of -1000 .. 999
    assert grey([0, 500, 1000], description) == [0, round(65535 * 1000 / 1999), 65535]


def test_look_up_holds_its_ends_and_starts_anywhere() -> None:
    table = LookupTable(first=-2, values=np.array([10, 20, 30], np.uint16), full_scale=40)
    assert look_up(levels(-9, -2, -1, 0, 9), table).tolist() == [10, 10, 20, 30, 30]


def test_modality_table_goes_before_the_rescale_and_voi_table_before_the_window() -> None:
    doubling = LookupTable(0, np.arange(4096, dtype=np.uint16) * 2, 8191)
    halves = LookupTable(0, np.array([0] * 100 + [255], np.uint16), 255)
    description = replace(TWELVE_BITS, modality_lut=doubling, slope=99, voi=(halves, FULL_RANGE))
    assert modality_values(stored_values(TWELVE), description)[7] == 14
    pixels, recipe, *_ = to_grey(np.array([[49, 50]], np.uint16), description)
    assert pixels.tolist() == [[0, 65535]]
    assert recipe == "voi_lut"


def test_monochrome1_is_inverted_once_after_the_window() -> None:
    plain = replace(TWELVE_BITS, voi=(FULL_RANGE,))
    assert grey([0, 4095], plain) == [0, 65535]
    assert grey([0, 4095], replace(plain, inverted=True)) == [65535, 0]


@pytest.mark.parametrize("inverted", [False, True])
def test_padding_is_background_and_does_not_move_the_percentiles(inverted: bool) -> None:
    description = replace(TWELVE_BITS, padding=(4000, 4095), inverted=inverted)
    cells = [4095] * 500 + [1000] * 50 + [2000] * 50
    output = grey(cells, description)
    dark, bright = (65535, 0) if inverted else (0, 65535)
    assert output[0] == 0
    assert output[500] == dark
    assert output[550] == bright


def test_padding_is_compared_with_stored_values() -> None:
    mask = padding_mask(SIGNED, (-2048, -2048))
    assert mask[0x800]
    assert mask.sum() == 16  # the same sample under any of the four unused bits


def test_without_a_window_half_a_percent_at_each_end_is_cut() -> None:
    cells = np.arange(1000, dtype=np.uint16)[None]
    pixels, recipe, *_ = to_grey(cells, TWELVE_BITS)
    assert recipe == "percentiles"
    assert pixels[0, 4] == 0
    assert pixels[0, 5] > 0
    assert pixels[0, 994] == 65535
    assert pixels[0, 993] < 65535


def test_an_image_of_one_value_and_one_of_padding_alone_are_black() -> None:
    assert grey([7, 7], TWELVE_BITS) == [0, 0]
    assert grey([7, 7], replace(TWELVE_BITS, padding=(7, 7))) == [0, 0]


def test_eight_bits_without_any_transform_are_grey_as_stored() -> None:
    byte = GreyDescription(SampleBits(allocated=8, stored=8, high=7, signed=False))
    assert grey([0, 100, 255], byte, np.uint8) == [0, 100, 255]
    pixels, recipe, *_ = to_grey(np.array([[3]], np.uint8), replace(byte, inverted=True))
    assert pixels.tolist() == [[252]]
    assert recipe == "as_stored"


def with_lut(keyword: str, first: int, values: list[int], bits: int) -> Dataset:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(values), first, bits])
    item.add_new("LUTData", "US", values)
    dataset = Dataset()
    setattr(dataset, keyword, [item])
    return dataset


CURVE = [int(value) for value in 4095 * np.linspace(0, 1, 3000) ** 0.7]
ORACLE_CASES: dict[str, dict[str, Any]] = {
    "linear": {"WindowCenter": 1200, "WindowWidth": 900},
    "linear with rescale": {
        "WindowCenter": 40, "WindowWidth": 700, "RescaleSlope": 0.37, "RescaleIntercept": -512,
    },
    "exact": {"WindowCenter": 1200.5, "WindowWidth": 333, "VOILUTFunction": "LINEAR_EXACT"},
    "sigmoid": {"WindowCenter": 2000, "WindowWidth": 800, "VOILUTFunction": "SIGMOID"},
    "first of two windows": {"WindowCenter": [1500, 9], "WindowWidth": [2000, 9]},
}  # fmt: skip


def oracle(dataset: Dataset, stored: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    return apply_voi_lut(apply_modality_lut(stored, dataset), dataset).astype(np.float64)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("name", ORACLE_CASES)
def test_windows_agree_with_pydicom(name: str, signed: bool) -> None:
    stored = np.arange(-2048, 2048).astype(np.int16) if signed else np.arange(4096, dtype=np.uint16)
    elements = {"BitsStored": 12, "HighBit": 11, **ORACLE_CASES[name]}
    if signed:
        elements["WindowCenter"] = np.ravel(elements["WindowCenter"])[0] - 1500
        elements["WindowWidth"] = np.ravel(elements["WindowWidth"])[0]
    dataset = dicom_dataset(stored.reshape(64, 64), **elements)
    # pydicom's output spans what the rescale makes of the samples' range
    lowest, highest = (-2048, 2047) if signed else (0, 4095)
    slope, intercept = elements.get("RescaleSlope", 1), elements.get("RescaleIntercept", 0)
    span = (highest - lowest) * slope
    expected = (oracle(dataset, stored) - (lowest * slope + intercept)) / span
    cells: Grey = stored.view(np.uint16).reshape(64, 64)
    pixels, recipe, *_ = to_grey(cells, read_back(dataset))
    assert recipe == "window"
    np.testing.assert_allclose(pixels.ravel() / 65535, expected, atol=1 / 65535)


@pytest.mark.parametrize("keyword", ["VOILUTSequence", "ModalityLUTSequence"])
@pytest.mark.parametrize("first", [0, 500])
def test_tables_agree_with_pydicom(keyword: str, first: int) -> None:
    stored = np.arange(4096, dtype=np.uint16)
    dataset = dicom_dataset(stored.reshape(64, 64), BitsStored=12, HighBit=11)
    dataset.update(with_lut(keyword, first, CURVE, 16 if "Modality" in keyword else 12))
    if keyword == "ModalityLUTSequence":
        dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
        dataset.VOILUTFunction = "LINEAR"
        expected = apply_modality_lut(stored, dataset) / 4095
    else:
        expected = oracle(dataset, stored) / 4095
    pixels, *_ = to_grey(stored.reshape(64, 64), read_back(dataset))
    np.testing.assert_allclose(pixels.ravel() / 65535, expected, atol=2 / 65535)


def described(**elements: Any) -> GreyDescription:
    bits = {"BitsStored": 12, "HighBit": 11}
    return read_back(dicom_dataset(np.zeros((2, 2), np.uint16), **{**bits, **elements}))


def read_back(dataset: FileDataset) -> GreyDescription:
    output = io.BytesIO()
    dcmwrite(output, dataset, enforce_file_format=False)
    return GreyDescription.of(parse_dicom(output.getvalue()).dataset, "")


@pytest.mark.parametrize("slope", [0, None])
def test_a_slope_that_would_make_one_grey_is_none_at_all(slope: int | None) -> None:
    description = described(RescaleSlope=slope, RescaleIntercept=-1024)
    assert (description.slope, description.intercept) == (1, 0)


def test_padding_range_is_read_in_either_order_and_sign() -> None:
    assert described(PixelPaddingValue=0).padding == (0, 0)
    assert described(PixelPaddingValue=4095, PixelPaddingRangeLimit=4000).padding == (4000, 4095)
    # -2000 written as unsigned into a signed file
    signed = described(PixelRepresentation=1, PixelPaddingValue=-2000)
    assert signed.padding == (-2000, -2000)


@pytest.mark.parametrize(
    "elements",
    [
        {"WindowCenter": 5},
        {"WindowCenter": 5, "WindowWidth": 0.5},
        {"WindowCenter": 5, "WindowWidth": 0, "VOILUTFunction": "SIGMOID"},
        {"WindowCenter": 5, "WindowWidth": 9, "VOILUTFunction": "CUBIC"},
    ],
)
def test_a_window_that_is_not_usable_is_none(elements: dict[str, Any]) -> None:
    assert described(**elements).voi == ()


@pytest.mark.parametrize(
    ("photometric", "shape", "inverted"),
    [
        ("MONOCHROME1", "INVERSE", True),
        ("MONOCHROME1", None, True),
        ("MONOCHROME2", "INVERSE", True),
        ("MONOCHROME2", "IDENTITY", False),
        ("MONOCHROME2", None, False),
    ],
)
def test_polarity_is_said_by_either_element(
    photometric: str, shape: str | None, inverted: bool
) -> None:
    elements = {"PhotometricInterpretation": photometric, "PresentationLUTShape": shape}
    assert described(**elements).inverted is inverted


def test_a_table_depth_is_believed_only_if_the_data_reach_it() -> None:
    believed, lying = (
        described(VOILUTSequence=with_lut("VOILUTSequence", 0, values, bits).VOILUTSequence).voi[0]
        for values, bits in (([0, 3000], 12), ([0, 1000], 16))
    )
    assert isinstance(believed, LookupTable)
    assert isinstance(lying, LookupTable)
    assert (believed.full_scale, lying.full_scale) == (4095, 1000)


@given(
    center=st.floats(-1e4, 1e4),
    width=st.floats(1, 1e4),
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    inverted=st.booleans(),
)
def test_every_window_is_monotonic(
    center: float, width: float, function: WindowFunction, inverted: bool
) -> None:
    description = replace(TWELVE_BITS, voi=(Window(center, width, function),), inverted=inverted)
    pixels, *_ = to_grey(np.arange(4096, dtype=np.uint16)[None], description)
    steps = np.diff(pixels[0].astype(np.int64))
    assert (steps <= 0).all() if inverted else (steps >= 0).all()


RAMP = np.arange(4096, dtype=np.uint16).reshape(64, 64)
UPPER = RAMP << np.uint16(4)


def on(cells: Grey, value: int) -> Grey:
    """The cells with some dead pixels."""
    dead = cells.copy()
    dead[:2, :8] = value
    return dead


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("value", [0, 0xFFFF, 0x1234])
def test_where_the_samples_lie_the_pixels_tell_but_for_a_few(value: int, signed: bool) -> None:
    sign = np.uint16(0x8000 if signed else 0)
    wide = replace(TWELVE_BITS, voi=(Window(0 if signed else 2048, 4096, "LINEAR"),))
    lower = RAMP - np.uint16(2048) if signed else RAMP
    for cells in (lower, UPPER ^ sign):
        for high in (11, 15):
            bits = SampleBits(allocated=16, stored=12, high=high, signed=signed)
            found, *_ = to_grey(on(cells, value), replace(wide, bits=bits))
            np.testing.assert_allclose(found[2:] / 65535, RAMP[2:] / 4095, atol=1e-4)


def test_overlays_over_most_of_a_film_are_not_taken_for_samples() -> None:
    found, *_ = to_grey(RAMP | np.uint16(0x8000), replace(TWELVE_BITS, voi=(FULL_RANGE,)))
    np.testing.assert_allclose(found / 65535, RAMP / 4095, atol=1e-4)


@pytest.mark.parametrize("cell", [0xFFFF, 0xFFF0])
@pytest.mark.parametrize("value", [0xFFF, 0xFFF0, 0xFFFF])
def test_padding_is_found_in_samples_at_the_upper_end(value: int, cell: int) -> None:
    cells = UPPER.copy()
    cells[:20] = cell
    bits = replace(TWELVE, high=15)
    found, *_ = to_grey(cells, GreyDescription(bits, padding=(value, value), voi=(FULL_RANGE,)))
    assert not found[:20].any()
    np.testing.assert_allclose(found[20:63] / 65535, RAMP[20:63] / 4095, atol=1e-4)


@pytest.mark.parametrize("padding", [(0, 4095), (0, 65535), (0, 5000)])
def test_padding_that_would_be_the_whole_film_is_none(padding: tuple[int, int]) -> None:
    plain = replace(TWELVE_BITS, voi=(FULL_RANGE,))
    found = to_grey(RAMP, replace(plain, padding=padding))[0]
    assert np.array_equal(found, to_grey(RAMP, plain)[0])
