"""Lookup tables as files of every encoding hold them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from solo.decoding.decode import decode
from solo.decoding.dicom.file import parse_dicom
from solo.decoding.dicom.voi import look_up, to_grey
from solo.decoding.dicom.voi_attributes import GreyDescription, LookupTable
from solo.decoding.radiograph import Limits, Radiograph
from tests.support.dicom import Pixels, dicom_file


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
)
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("vr", ["US", "OW"])
@pytest.mark.parametrize("keyword", ["VOILUTSequence", "ModalityLUTSequence"])
def test_tables_are_read_in_every_encoding(
    syntax: UID, signed: bool, vr: str, keyword: str
) -> None:
    first, curve = (-20 if signed else 20), list(range(0, 4000, 20))
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if signed else "US", [len(curve), first, 12])
    words = np.array(curve, f"{order}u2").tobytes() if vr == "OW" else curve
    item.add_new("LUTData", vr, words)
    film: Pixels = np.zeros((2, 2), np.int16) if signed else np.zeros((2, 2), np.uint16)
    elements: dict[str, Any] = {keyword: [item]}
    data = dicom_file(film, syntax=syntax, **elements)
    description = GreyDescription.of(parse_dicom(data).dataset, "")
    table = description.voi[0] if keyword == "VOILUTSequence" else description.modality_lut
    assert isinstance(table, LookupTable)
    assert table.full_scale == 4095
    inputs = np.arange(-30, 300) if signed else np.arange(300)
    expected = np.interp(inputs - first, np.arange(len(curve)), curve)
    assert look_up(inputs.astype(float), table).tolist() == expected.tolist()


def test_a_first_value_written_without_its_sign_is_signed() -> None:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [3, 65536 - 2, 8])
    item.add_new("LUTData", "US", [0, 100, 255])
    data = dicom_file(np.zeros((1, 5), np.int16), VOILUTSequence=[item])
    description = GreyDescription.of(parse_dicom(data).dataset, "")
    pixels, *_ = to_grey(np.array([[65533, 65534, 65535, 0, 9]], np.uint16), description)
    assert (pixels / 257).tolist() == [[0, 0, 100, 255, 255]]


RAMP = np.arange(4096, dtype="<u2")
FILM = (RAMP.reshape(64, 64) * np.uint16(3) // np.uint16(4)).astype(np.uint16)
TWELVE: dict[str, Any] = {"BitsStored": 12, "HighBit": 11}
CURVE: Pixels = (RAMP // 2 + 1000).astype("<u2")


def table(
    descriptor: list[int] | bytes | None, data: bytes | str | list[int] | None, vr: str = "OW"
) -> Dataset:
    item = Dataset()
    if descriptor is not None:
        as_bytes = isinstance(descriptor, bytes)
        item.add_new("LUTDescriptor", "OB" if as_bytes else "US", descriptor)
    if data is not None:
        item.add_new("LUTData", vr, data)
    return item


def read(*items: Dataset, keyword: str = "VOILUTSequence", **elements: Any) -> Radiograph:
    options: dict[str, Any] = {**TWELVE, keyword: list(items), **elements}
    return decode(dicom_file(FILM, **options), Limits(100_000))


WHOLE = table([4096, 0, 12], CURVE.tobytes())
USELESS = {
    "an empty item": table(None, None),
    "an item without data": table([4096, 0, 12], None),
    "an item with empty data": table([4096, 0, 12], b""),
    "data alone": table(None, CURVE.tobytes()),
    "two values": table([4096, 0], CURVE.tobytes()),
    "an odd descriptor": table(b"12345", CURVE.tobytes()),
    "a descriptor of text": table(b"4096\\0\\12", CURVE.tobytes()),
    "a table of which most is missing": table([4096, 0, 12], CURVE.tobytes()[:900]),
    "a table of one grey": table([4096, 0, 12], bytes(8192)),
    "data of text": table([4096, 0, 12], "many", "UT"),
    "too much data": table([4096, 0, 12], bytes(200_000)),
}


@pytest.mark.parametrize("name", USELESS)
def test_a_voi_table_that_is_not_usable_leaves_the_next_and_then_the_window(name: str) -> None:
    window: dict[str, Any] = {"WindowCenter": 2000, "WindowWidth": 1000}
    assert read(USELESS[name]).info.grey == "percentiles"
    assert np.array_equal(read(USELESS[name], **window).pixels, read(**window).pixels)
    second = read(USELESS[name], WHOLE, **window)
    assert second.info.grey == "voi_lut"
    assert np.array_equal(second.pixels, read(WHOLE).pixels)


def test_an_empty_modality_table_says_nothing() -> None:
    window: dict[str, Any] = {"WindowCenter": 500, "WindowWidth": 1000, "RescaleSlope": 0.5}
    found = read(table(None, None), keyword="ModalityLUTSequence", **window)
    assert np.array_equal(found.pixels, read(**window).pixels)
    assert found.info.grey == "window"


@pytest.mark.parametrize("name", sorted({*USELESS} - {"an empty item", "a table of one grey"}))
def test_a_lost_modality_table_takes_the_window_with_it(name: str) -> None:
    window: dict[str, Any] = {"WindowCenter": 2000, "WindowWidth": 1000}
    found = read(USELESS[name], keyword="ModalityLUTSequence", **window)
    assert found.info.grey == "percentiles"
    assert np.array_equal(found.pixels, read().pixels)
    rescaled = read(USELESS[name], keyword="ModalityLUTSequence", RescaleSlope=1, **window)
    assert rescaled.info.grey == "window"


@pytest.mark.parametrize("missing", [1, 2, 100])
@pytest.mark.parametrize("vr", ["OW", "US"])
def test_a_short_table_goes_on_with_its_last_entry(missing: int, vr: str) -> None:
    padded = CURVE.copy()
    padded[-missing:] = padded[-missing - 1]
    data = CURVE[:-missing].tobytes() if vr == "OW" else CURVE[:-missing].tolist()
    short, expected = (
        read(table([4096, 0, 12], data, vr)),
        read(table([4096, 0, 12], padded.tobytes())),
    )
    assert short.info.grey == "voi_lut"
    assert np.array_equal(short.pixels, expected.pixels)


@pytest.mark.parametrize("odd", [False, True])
def test_bytes_are_entries_where_there_are_as_many(odd: bool) -> None:
    entries = 255 if odd else 256
    packed = bytes(range(entries)) + b"\0" * odd
    words = np.arange(entries, dtype="<u2").tobytes()
    found = read(table([entries, 0, 8], packed), WindowCenter=1, WindowWidth=2)
    assert np.array_equal(found.pixels, read(table([entries, 0, 8], words)).pixels)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("signed", [False, True])
def test_the_first_input_has_the_sign_of_what_goes_in(syntax: UID, signed: bool) -> None:
    film: Pixels = FILM.astype(np.int16) if signed else FILM
    options: dict[str, Any] = {**TWELVE, "BitsStored": 13, "HighBit": 12}
    rescale: dict[str, Any] = {"RescaleSlope": 1, "RescaleIntercept": -2048}
    item = table([4096, 65536 - 2048, 12], CURVE.tobytes())
    data = dicom_file(film, syntax=syntax, VOILUTSequence=[item], **rescale, **options)
    found = decode(data, Limits(100_000))
    assert found.info.grey == "voi_lut"
    np.testing.assert_allclose(found.pixels / 65535, (FILM // 2 + 1000) / 4095, atol=1e-4)


def test_a_first_input_beyond_the_signed_range_stays_where_all_are_positive() -> None:
    film = (FILM.astype(np.uint16) << np.uint16(4)) + np.uint16(4)
    item = table([4096, 40_000, 12], RAMP.tobytes())
    data = dicom_file(film, VOILUTSequence=[item], RescaleSlope=1, RescaleIntercept=-1)
    found = decode(data, Limits(100_000))
    expected = np.clip(film.astype(int) - 1 - 40_000, 0, 4095) / 4095
    np.testing.assert_allclose(found.pixels / 65535, expected, atol=1e-4)


@pytest.mark.parametrize("bits", [12, 16])
@pytest.mark.parametrize("vr", ["OW", "OB", "UN"])
def test_a_descriptor_may_count_bytes(bits: int, vr: str) -> None:
    curve = CURVE * np.uint16(16 if bits == 16 else 1)
    found = read(table([8192, 0, bits], curve.tobytes(), vr))
    assert np.array_equal(found.pixels, read(table([4096, 0, bits], curve.tobytes())).pixels)
    assert found.info.grey == "voi_lut"


def test_bytes_of_a_wrong_depth_are_passed_over() -> None:
    assert read(table([256, 0, 12], bytes(range(256)))).info.grey == "percentiles"


@pytest.mark.parametrize("undefined", [False, True])
def test_a_sequence_of_unknown_representation_may_be_explicit(undefined: bool) -> None:
    plain = dicom_file(FILM, VOILUTSequence=[WHOLE], **TWELVE)
    head = b"\x28\0\x10\x30SQ\0\0"
    at = plain.index(head)
    length = int.from_bytes(plain[at + 8 : at + 12], "little")
    items, rest = plain[at + 12 : at + 12 + length], plain[at + 12 + length :]
    size = b"\xff\xff\xff\xff" if undefined else plain[at + 8 : at + 12]
    end = b"\xfe\xff\xdd\xe0\0\0\0\0" if undefined else b""
    data = plain[:at] + b"\x28\0\x10\x30UN\0\0" + size + items + end + rest
    found = decode(data, Limits(100_000))
    assert found.info.grey == "voi_lut"
    assert np.array_equal(found.pixels, decode(plain, Limits(100_000)).pixels)
