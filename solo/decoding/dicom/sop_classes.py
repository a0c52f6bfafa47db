"""SOP classes and modalities of projection radiographs."""

from __future__ import annotations

from typing import Final

from pydicom.config import IGNORE
from pydicom.uid import (
    UID,
    BreastProjectionXRayImageStorageForPresentation,
    BreastProjectionXRayImageStorageForProcessing,
    ComputedRadiographyImageStorage,
    DigitalIntraOralXRayImageStorageForPresentation,
    DigitalIntraOralXRayImageStorageForProcessing,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    EnhancedContinuousRTImageStorage,
    EnhancedRTImageStorage,
    EnhancedXAImageStorage,
    EnhancedXRFImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    MultiFrameSingleBitSecondaryCaptureImageStorage,
    MultiFrameTrueColorSecondaryCaptureImageStorage,
    RTImageStorage,
    SecondaryCaptureImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)

from solo.errors import NotSegmentableError

FOR_PROCESSING: Final = frozenset(
    {
        DigitalXRayImageStorageForProcessing,
        DigitalMammographyXRayImageStorageForProcessing,
        DigitalIntraOralXRayImageStorageForProcessing,
        BreastProjectionXRayImageStorageForProcessing,
    }
)
PROJECTIONS: Final = FOR_PROCESSING | {
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalIntraOralXRayImageStorageForPresentation,
    BreastProjectionXRayImageStorageForPresentation,
    XRayAngiographicImageStorage,
    UID("1.2.840.10008.5.1.4.1.1.12.3"),  # X-Ray Angiographic Bi-Plane Image Storage, retired
    EnhancedXAImageStorage,
    XRayRadiofluoroscopicImageStorage,
    EnhancedXRFImageStorage,
    RTImageStorage,
    EnhancedRTImageStorage,
    EnhancedContinuousRTImageStorage,
}
SECONDARY_CAPTURES: Final = frozenset(
    {
        SecondaryCaptureImageStorage,
        MultiFrameSingleBitSecondaryCaptureImageStorage,
        MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
        MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
        MultiFrameTrueColorSecondaryCaptureImageStorage,
    }
)
# PS3.3 C.7.3.1.1.1: those of today, those retired (DS for XA; CF, DF and VF for RF), and DR, XR and
# RX, which are in no edition but in many films.
PROJECTION_MODALITIES: Final = frozenset(
    {"CR", "DX", "MG", "IO", "PX", "XA", "RF", "RG", "RTIMAGE", "DS", "CF", "DF", "VF"}
    | {"DR", "XR", "RX"}
)
_UNDECIDED: Final = frozenset({"OT", "SC", "HC", ""})  # "other" and what says nothing on the origin

# Named in an answer only if listed here: the element is free text in the hands of who wrote it.
_OTHER_MODALITIES: Final = (
    "AR ASMT AU BDUS BI BMD CT CTPROTOCOL DG DMS DOC ECG EEG EMG EOG EPS ES FID GM HD IOL IVOCT "
    "IVUS KER KO LEN LS M3D MR NM OAM OCT OP OPM OPT OPTBSV OPTENF OPV OSS PA PLAN POS PR PT REG "
    "RESP RTDOSE RTINTENT RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT SEG SM SMR SR SRF STAIN TG US VA "
    "XAPROTOCOL XC AS CD CP CS DD EC FA FS LP MA MS OPR ST"
)
_STANDARD_ROOT: Final = "1.2.840.10008."


def projection_class(sop_class: str, media_class: str, modality: str) -> str:
    """The SOP class, if the evidence says that the object is a projection radiograph.

    The data set's SOP class is the strongest evidence, the file meta information's stands in where
    an anonymiser took it away, and then the modality decides. A class outside the standard's root,
    of a manufacturer or an anonymiser, says nothing. A secondary capture may show anything: its
    modality decides, unless it says "other" or nothing.

    Args:
        sop_class: SOP Class UID (0008,0016), empty where absent.
        media_class: Media Storage SOP Class UID (0002,0002), empty where absent.
        modality: Modality (0008,0060) in upper case, empty where absent.

    Returns:
        Either UID, or an empty string where the modality alone decided.

    Raises:
        NotSegmentableError: with the SOP class and the modality named.
    """
    known = next((uid for uid in (sop_class, media_class) if uid.startswith(_STANDARD_ROOT)), "")
    contradicted = known != sop_class and modality in _OTHER_MODALITIES.split()
    if known in PROJECTIONS and not contradicted:
        return known
    accepted = PROJECTION_MODALITIES | (_UNDECIDED if known else frozenset())
    if (not known or known in SECONDARY_CAPTURES) and modality in accepted:
        return known
    told = known and known not in SECONDARY_CAPTURES and not contradicted
    raise NotSegmentableError(
        f"{_class_name(known, sop_class or media_class)} with modality {_modality_name(modality)} "
        f"{'is not' if told else 'does not say that it is'} a projection radiograph: expected "
        "computed or digital radiography, mammography, intra-oral, angiographic, fluoroscopic or "
        "portal X-ray, or a secondary capture of one"
    )


def _class_name(known: str, any_class: str) -> str:
    # The name is the UID itself where pydicom's dictionary does not have it.
    name = UID(known, IGNORE).name  # and its warnings would quote the file
    if name != known:
        return name
    return "an object of an unknown SOP class" if any_class else "an object without a SOP class"


def _modality_name(modality: str) -> str:
    if not modality:
        return "not given"
    named = PROJECTION_MODALITIES | _UNDECIDED | {*_OTHER_MODALITIES.split()}
    return modality if modality in named else "unknown"
