"""Lookup tables as files of every encoding hold them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from solo.decoding.dicom.file import parse_dicom
from solo.decoding.dicom.voi import to_grey
from solo.decoding.dicom.voi_attributes import GreyDescription
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
    description = GreyDescription.of(parse_dicom(data).dataset)
    table = description.voi_lut if keyword == "VOILUTSequence" else description.modality_lut
    assert table is not None
    assert (table.first, table.values.tolist(), table.full_scale) == (first, curve, 4095)


def test_a_first_value_written_without_its_sign_is_signed() -> None:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [3, 65536 - 2, 8])
    item.add_new("LUTData", "US", [0, 100, 255])
    data = dicom_file(np.zeros((1, 5), np.int16), VOILUTSequence=[item])
    description = GreyDescription.of(parse_dicom(data).dataset)
    pixels, _ = to_grey(np.array([[65533, 65534, 65535, 0, 9]], np.uint16), description)
    assert (pixels / 257).tolist() == [[0, 0, 100, 255, 255]]
