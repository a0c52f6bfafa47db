"""What objects take over from their film: patient and study as raw bytes, and nothing else."""

from __future__ import annotations

import io
import logging
import warnings
from typing import Any, get_args

import numpy as np
import pydicom
import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from solo.decoding.decode import decode
from solo.decoding.dicom.source_header import TAGS
from solo.decoding.radiograph import Limits
from solo.errors import MalformedError, NoDicomResultError, NothingFoundError
from solo.formats.dicom.objects import DicomKind, DicomOptions, encode_dicom
from tests.support.dicom import dicom_file
from tests.support.dicom_results import (
    IDENTITY,
    SERIES,
    STUDY,
    coded_manifest,
    half,
    hospital_film,
    result_of,
)
from tests.support.films import png

KINDS = get_args(DicomKind)
UIDS: dict[str, Any] = {"SeriesInstanceUID": SERIES, "StudyInstanceUID": STUDY}


def plain_bytes(film: bytes, kind: DicomKind) -> bytes:
    result = result_of(film, [half()])
    return encode_dicom(result, kind, coded_manifest(), DicomOptions(explicit=True))


def raw(data: bytes, keyword: str) -> bytes | None:
    """The value of an element as it lies in the file."""
    dataset = pydicom.dcmread(io.BytesIO(data))
    tag = tag_for_keyword(keyword)
    assert tag is not None
    found = dataset.get_item(tag) if tag in dataset else None
    return found if found is None else bytes(found.value or b"")


def dirty_film(**values: bytes) -> bytes:
    """A film with raw values that pydicom would not write."""
    data = dicom_file(np.arange(48, dtype=np.uint16).reshape(6, 8), **(IDENTITY | UIDS))
    for keyword, value in values.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None
        head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
        at = data.index(head, 132)
        before = int.from_bytes(data[at + 6 : at + 8], "little")
        length = len(value).to_bytes(2, "little")
        data = data[: at + 6] + length + value + data[at + 8 + before :]
    return data


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_has_the_identity_of_its_film_and_no_more(kind: DicomKind) -> None:
    data = plain_bytes(hospital_film(), kind)
    found = pydicom.dcmread(io.BytesIO(data))
    for keyword, value in IDENTITY.items():
        assert str(found[keyword].value) == value, keyword
    assert b"NOWHERE" not in data
    assert data.count(b"PLANTED") + data.lower().count(b"planted^") == 6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_identity_is_the_same_from_any_encoding(kind: DicomKind, syntax: pydicom.uid.UID) -> None:
    pixels = np.arange(48, dtype=np.uint16).reshape(6, 8)
    data = plain_bytes(
        dicom_file(pixels, syntax=syntax, **IDENTITY, SeriesInstanceUID=SERIES), kind
    )
    for keyword, value in IDENTITY.items():
        assert str(pydicom.dcmread(io.BytesIO(data))[keyword].value) == value


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientName", "Äneas^Ö".encode("latin-1")),
        ("PatientName", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d"),
        ("PatientName", "王^小东".encode("gb18030")),
        ("PatientName", b"\xff\xfe\x00\x01^^^^^^^^"),
        ("PatientBirthDate", b"00000000"),
        ("PatientBirthDate", b"unknown "),
        ("StudyDate", b"2026.01.02"),
        ("AccessionNumber", b"x" * 56),
        ("PatientSex", b"female"),
        ("PatientID", b"\0\0"),
        ("PatientID", b"a\\b\\c "),
        ("StudyID", b""),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_values_are_copied_and_never_read(
    kind: DicomKind, keyword: str, value: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    film = dirty_film(**{keyword: value})
    with warnings.catch_warnings(), caplog.at_level(logging.DEBUG):
        warnings.simplefilter("error")
        data = plain_bytes(film, kind)
    assert not caplog.records
    padding = b" " if len(value) % 2 else b""
    assert raw(data, keyword) == value + padding


def test_a_value_of_odd_length_is_padded() -> None:
    data = plain_bytes(dirty_film(PatientID=b"odd", StudyInstanceUID=b"1.2.345"), "seg")
    assert raw(data, "PatientID") == b"odd "
    assert raw(data, "StudyInstanceUID") == b"1.2.345\0"


def test_the_character_set_comes_with_the_strings() -> None:
    film = hospital_film(SpecificCharacterSet="ISO_IR 192", PatientName="王^小东")
    found = pydicom.dcmread(io.BytesIO(plain_bytes(film, "seg")))
    assert found.PatientName == "王^小东"
    assert raw(plain_bytes(hospital_film(), "seg"), "SpecificCharacterSet") is None


def test_what_the_film_does_not_have_is_there_and_empty() -> None:
    pixels = np.zeros((6, 8), np.uint16)
    film = dicom_file(pixels, without=("PatientName", "PatientID"), **UIDS)
    for kind in KINDS:
        data = plain_bytes(film, kind)
        for keyword in IDENTITY.keys() - {"StudyInstanceUID", "IssuerOfPatientID"}:
            assert raw(data, keyword) == b"", keyword
        assert raw(data, "IssuerOfPatientID") is None


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
@pytest.mark.parametrize("value", [None, b"", b"planted", b"1", b"1.2." + b"3" * 62, b"1.2\\1.3"])
def test_a_film_that_cannot_be_referred_to_is_refused(keyword: str, value: bytes | None) -> None:
    film = dirty_film(**({} if value is None else {keyword: value}))
    if value is None:
        pixels = np.zeros((6, 8), np.uint16)
        film = dicom_file(pixels, without=(keyword,), **(IDENTITY | UIDS))
    with pytest.raises(NoDicomResultError, match=f"no usable {keyword}") as refused:
        plain_bytes(film, "seg")
    assert "planted" not in str(refused.value)


def test_a_uid_that_is_not_quite_one_is_referred_to_all_the_same() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = plain_bytes(dirty_film(SOPInstanceUID=b"999.999.01.23.45.6789 "), "seg")
    assert data.count(b"999.999.01.23.45.6789\0") == 2  # of the frame and of the series


@pytest.mark.parametrize("kind", get_args(DicomKind))
def test_a_study_is_named_without_a_strangers_padding(kind: DicomKind) -> None:
    data = plain_bytes(dirty_film(StudyInstanceUID=b" 1.2.3.4 "), kind)
    assert b"UI\x08\x001.2.3.4\0" in data


def test_the_files_own_class_stands_in_for_a_missing_one() -> None:
    film = dicom_file(np.zeros((6, 8), np.uint16), without=("SOPClassUID",), **(IDENTITY | UIDS))
    found = pydicom.dcmread(io.BytesIO(plain_bytes(film, "seg"))).ReferencedSeriesSequence[0]
    reference = found.ReferencedInstanceSequence[0].ReferencedSOPClassUID
    assert reference.keyword == "DigitalXRayImageStorageForPresentation"


def test_a_film_that_is_no_dicom_is_refused() -> None:
    with pytest.raises(NoDicomResultError, match="this one is PNG"):
        plain_bytes(png(np.zeros((6, 8), np.uint8)), "seg")


@pytest.mark.parametrize("kind", KINDS)
def test_a_film_without_findings_has_no_object(kind: DicomKind) -> None:
    with pytest.raises(NothingFoundError, match="found nothing"):
        encode_dicom(result_of(hospital_film(), []), kind, coded_manifest())


def test_an_element_that_is_too_long_is_refused_and_not_quoted() -> None:
    header = decode(dirty_film(PatientID=b"planted " * 129), Limits(1000)).source_header
    assert header is not None
    with pytest.raises(MalformedError, match=r"PatientID has 1,032 bytes") as refused:
        header()
    assert "planted" not in str(refused.value)


def test_a_header_does_not_show_itself() -> None:
    header: Any = result_of(hospital_film(), [half()]).source_header
    assert "PLANTED" not in repr(header)
    assert header.elements.keys() <= set(TAGS.values())
