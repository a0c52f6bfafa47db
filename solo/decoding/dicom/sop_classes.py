"""SOP classes and modalities of projection radiographs."""

from __future__ import annotations

from typing import Final

from pydicom.config import IGNORE
from pydicom.uid import UID

from solo.errors import NotSegmentableError

# Keywords of the SOP classes (PS3.6, Table A-1)
PROJECTIONS: Final = frozenset(
    (
        "ComputedRadiographyImageStorage",
        "DigitalXRayImageStorageForPresentation",
        "DigitalXRayImageStorageForProcessing",
        "DigitalMammographyXRayImageStorageForPresentation",
        "DigitalMammographyXRayImageStorageForProcessing",
        "DigitalIntraOralXRayImageStorageForPresentation",
        "DigitalIntraOralXRayImageStorageForProcessing",
        "BreastProjectionXRayImageStorageForPresentation",
        "BreastProjectionXRayImageStorageForProcessing",
        "XRayAngiographicImageStorage",
        "XRayAngiographicBiPlaneImageStorage",  # retired
        "EnhancedXAImageStorage",
        "XRayRadiofluoroscopicImageStorage",
        "EnhancedXRFImageStorage",
        "RTImageStorage",
        "EnhancedRTImageStorage",
        "EnhancedContinuousRTImageStorage",
    )
)
_SECONDARY_CAPTURE: Final = "SecondaryCaptureImageStorage"  # or with the kind of its pixels before
# PS3.3 C.7.3.1.1.1: those of today, those retired (DS for XA; CF, DF and VF for RF), and some that
# are in no edition but in many films.
PROJECTION_MODALITIES: Final = frozenset(
    {"CR", "DX", "MG", "IO", "PX", "XA", "RF", "RG", "RTIMAGE", "DS", "CF", "DF", "VF"}
    | {"DR", "XR", "RX", "DDR", "CXR", "X-RAY", "XRAY"}
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
    keyword = UID(known, IGNORE).keyword
    if keyword in PROJECTIONS and not contradicted:
        return known
    captured = keyword.endswith(_SECONDARY_CAPTURE)
    accepted = PROJECTION_MODALITIES | (_UNDECIDED if known else frozenset())
    if (not known or captured) and modality in accepted:
        return known
    told = keyword and not captured and not contradicted
    raise NotSegmentableError(
        f"{_class_name(known, sop_class or media_class)} with modality {_modality_name(modality)} "
        f"{'is not' if told else 'does not say that it is'} a projection radiograph: expected "
        "computed or digital radiography, mammography, intra-oral, angiographic, fluoroscopic or "
        "portal X-ray, or a secondary capture of one"
    )


def is_for_processing(sop_class: str) -> bool:
    """Whether the SOP class of a projection radiograph is one of raw films."""
    return UID(sop_class, IGNORE).keyword.endswith("ForProcessing")


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
