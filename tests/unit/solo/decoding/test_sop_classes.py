"""Projection radiographs told from other objects, by all evidence that a file has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    BreastProjectionXRayImageStorageForProcessing,
    BreastTomosynthesisImageStorage,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForProcessing,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    EncapsulatedPDFStorage,
    EnhancedXAImageStorage,
    EnhancedXRFImageStorage,
    MRImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    NuclearMedicineImageStorage,
    PositronEmissionTomographyImageStorage,
    RTImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    XRay3DAngiographicImageStorage,
    XRay3DCraniofacialImageStorage,
)

from solo.decoding.decode import decode
from solo.decoding.dicom.sop_classes import PROJECTIONS, projection_class
from solo.decoding.radiograph import Limits
from solo.errors import NotSegmentableError
from tests.support.dicom import dicom_file

CT, DX, SC = CTImageStorage, DigitalXRayImageStorageForPresentation, SecondaryCaptureImageStorage
CR, RAW = ComputedRadiographyImageStorage, DigitalXRayImageStorageForProcessing
FUJI, RENEWED = "1.2.392.200036.9125.1.1.2", "2.25.329800735698586629295641978511506172918"
ALL_PROJECTIONS = sorted(uid for uid in UID_dictionary if UID(uid).keyword in PROJECTIONS)
BIPLANE = "1.2.840.10008.5.1.4.1.1.12.3"


@pytest.mark.parametrize(
    ("sop_class", "media_class", "modality", "expected"),
    [
        *((uid, uid, "", uid) for uid in ALL_PROJECTIONS),
        (EnhancedXAImageStorage, "", "XA", EnhancedXAImageStorage),
        (EnhancedXRFImageStorage, "", "RF", EnhancedXRFImageStorage),
        (BIPLANE, "", "XA", BIPLANE),
        (RTImageStorage, "", "RTIMAGE", RTImageStorage),
        ("", DX, "", DX),  # an anonymiser kept what it was told to, and the file meta
        ("", CR, "OT", CR),
        ("", DX, "ANONYMISED", DX),
        ("", SC, "CR", SC),
        ("", "", "DX", ""),
        ("", "", "RTIMAGE", ""),
        (FUJI, FUJI, "CR", ""),
        (FUJI, CR, "", CR),
        (RENEWED, DX, "", DX),  # an anonymiser that gives every UID a new one
        ("?", "", "MG", ""),
        (DX, CT, "DX", DX),  # the data set's own class is the strongest evidence
        (DX, DX, "CT", DX),
        *((SC, SC, modality, SC) for modality in (
            "CR", "DX", "DR", "XR", "DF", "DS", "PX", "OT", "SC", "X-RAY", "CXR", "DDR")),
        (SC, "", "", SC),
        (MultiFrameTrueColorSecondaryCaptureImageStorage, "", "XA",
         MultiFrameTrueColorSecondaryCaptureImageStorage),
    ],
)  # fmt: skip
def test_a_projection_radiograph_is_told_by_any_evidence(
    sop_class: str, media_class: str, modality: str, expected: str
) -> None:
    assert projection_class(sop_class, media_class, modality) == expected


@pytest.mark.parametrize(
    ("sop_class", "media_class", "modality", "said"),
    [
        (CT, DX, "DX", "CT Image Storage with modality DX is not"),
        (CT, CT, "CT", "CT Image Storage with modality CT is not"),
        ("", CT, "DX", "CT Image Storage with modality DX is not"),
        ("", DX, "CT", "For Presentation with modality CT does not say that it is"),
        (FUJI, DX, "US", "For Presentation with modality US does not say that it is"),
        ("", "", "", "without a SOP class with modality not given does not say that it is"),
        ("", "", "OT", "without a SOP class with modality OT does not say that it is"),
        ("", "", "CT", "without a SOP class with modality CT does not say that it is"),
        (FUJI, FUJI, "MR", "unknown SOP class with modality MR does not say that it is"),
        (FUJI, FUJI, "OT", "unknown SOP class with modality OT does not say that it is"),
        (FUJI, CT, "CR", "CT Image Storage with modality CR is not"),
        (SC, SC, "US", "Secondary Capture Image Storage with modality US does not say that it is"),
        (SC, DX, "ES", "Secondary Capture Image Storage with modality ES does not say that it is"),
        (SC, SC, "PLANTED", "with modality unknown does not say that it is"),
        *((uid, DX, "DX", "is not") for uid in (
            MRImageStorage, UltrasoundImageStorage, NuclearMedicineImageStorage,
            PositronEmissionTomographyImageStorage, BasicTextSRStorage, EncapsulatedPDFStorage,
            XRay3DAngiographicImageStorage, XRay3DCraniofacialImageStorage,
            BreastTomosynthesisImageStorage)),
        ("1.2.840.10008.5.1.4.1.1.7777", DX, "DX", "modality DX does not say that it is"),
    ],
)  # fmt: skip
def test_nothing_else_passes_and_what_is_said_is_true(
    sop_class: str, media_class: str, modality: str, said: str
) -> None:
    with pytest.raises(NotSegmentableError, match=f"{said} a projection radiograph"):
        projection_class(sop_class, media_class, modality)


FILM = np.array([[100, 200, 300]], np.uint16)
WINDOW: dict[str, Any] = {
    "BitsStored": 12, "HighBit": 11, "WindowCenter": 2048, "WindowWidth": 4096,
}  # fmt: skip


@pytest.mark.parametrize("modality", ["dx", " DX ", "Dx", "DX\\CT"])
def test_case_and_padding_of_the_modality_do_not_matter(modality: str) -> None:
    written = dicom_file(FILM, media_class=None, without=("SOPClassUID",), Modality="X" * 6)
    data = written.replace(b"X" * 6, modality.encode().ljust(6))
    assert decode(data, Limits(100)).info.grey == "percentiles"


def test_an_object_that_says_nothing_is_refused() -> None:
    with pytest.raises(NotSegmentableError, match="without a SOP class"):
        decode(dicom_file(FILM, media_class=None, without=("SOPClassUID", "Modality")), Limits(100))


@pytest.mark.parametrize(
    "elements",
    [
        {"PresentationIntentType": "FOR PROCESSING"},
        {"SOPClassUID": RAW},
        {"SOPClassUID": DigitalMammographyXRayImageStorageForProcessing},
        {"SOPClassUID": BreastProjectionXRayImageStorageForProcessing},
        {"media_class": RAW, "without": ("SOPClassUID",)},
        {"media_class": RAW, "without": ("SOPClassUID", "Modality")},
        {"media_class": RAW, "SOPClassUID": RENEWED},
    ],
)
def test_raw_films_are_stretched_whatever_window_they_have(elements: dict[str, Any]) -> None:
    found = decode(dicom_file(FILM, **{**WINDOW, **elements}), Limits(100))
    assert found.info.grey == "percentiles"
    assert found.pixels.tolist() == [[0, 32768, 65535]]


def test_the_class_of_the_data_set_tells_raw_films_from_others() -> None:
    data = dicom_file(FILM, media_class=RAW, **WINDOW)
    assert decode(data, Limits(100)).info.grey == "window"
