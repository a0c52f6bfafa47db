"""SOP classes and modalities of projection radiographs."""

from __future__ import annotations

from typing import Final

from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    DigitalIntraOralXRayImageStorageForPresentation,
    DigitalIntraOralXRayImageStorageForProcessing,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameSingleBitSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

from solo.errors import NotSegmentableError

PROJECTIONS: Final = frozenset(
    {
        ComputedRadiographyImageStorage,
        DigitalXRayImageStorageForPresentation,
        DigitalXRayImageStorageForProcessing,
        DigitalMammographyXRayImageStorageForPresentation,
        DigitalMammographyXRayImageStorageForProcessing,
        DigitalIntraOralXRayImageStorageForPresentation,
        DigitalIntraOralXRayImageStorageForProcessing,
        XRayAngiographicImageStorage,
        XRayRadiofluoroscopicImageStorage,
    }
)
SECONDARY_CAPTURES: Final = frozenset(
    {
        SecondaryCaptureImageStorage,
        MultiFrameSingleBitSecondaryCaptureImageStorage,
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        MultiFrameTrueColorSecondaryCaptureImageStorage,
    }
)
FOR_PROCESSING: Final = frozenset(
    {
        DigitalXRayImageStorageForProcessing,
        DigitalMammographyXRayImageStorageForProcessing,
        DigitalIntraOralXRayImageStorageForProcessing,
    }
)
PROJECTION_MODALITIES: Final = frozenset({"CR", "DX", "MG", "IO", "PX", "XA", "RF", "RG"})

# Named in an answer only if listed here: the element is free text in the hands of who wrote it.
_OTHER_MODALITIES: Final = (
    "CT MR US NM PT OT SC SR SEG PR KO ES XC OP OPT ECG EEG HD IVUS OCT SM GM BMD DOC "
    "RTIMAGE RTDOSE RTSTRUCT RTPLAN REG"
)


def check_projection(sop_class: str, modality: str) -> None:
    """Refuses SOP classes and modalities that are no projection radiographs.

    A secondary capture may show anything, so its modality decides, unless it says "other" or
    nothing. Where there is no SOP class the modality decides alone.

    Args:
        sop_class: SOP Class UID (0008,0016), empty where absent.
        modality: Modality (0008,0060), empty where absent.

    Raises:
        NotSegmentableError: with the SOP class and the modality named.
    """
    if sop_class in PROJECTIONS:
        return
    if sop_class in SECONDARY_CAPTURES and modality in PROJECTION_MODALITIES | {"OT", "SC", ""}:
        return
    if not sop_class and modality in PROJECTION_MODALITIES:
        return
    raise NotSegmentableError(
        f"{_class_name(sop_class)} with modality {_modality_name(modality)} is not a projection "
        "radiograph: expected computed or digital radiography, mammography, intra-oral, "
        "angiographic or fluoroscopic X-ray, or a secondary capture of one"
    )


def _class_name(sop_class: str) -> str:
    if not sop_class:
        return "an object without a SOP class"
    name = UID(sop_class).name  # the UID itself where pydicom's dictionary does not have it
    return "an object of an unknown SOP class" if name == sop_class else name


def _modality_name(modality: str) -> str:
    if not modality:
        return "not given"
    known = modality in PROJECTION_MODALITIES or modality in _OTHER_MODALITIES.split()
    return modality if known else "unknown"
