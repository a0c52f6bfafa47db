"""Presentation contexts that are accepted: the SOP classes and syntaxes that the service reads."""

from __future__ import annotations

from pydicom import uid as uids
from pynetdicom import build_context
from pynetdicom.presentation import PresentationContext
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from solo.decoding.dicom.sop_classes import PROJECTIONS
from solo.decoding.dicom.transfer_syntaxes import CODINGS

# A secondary capture may be a digitised film; the service asks its modality.
_CAPTURES = (
    "SecondaryCaptureImageStorage",
    "MultiFrameSingleBitSecondaryCaptureImageStorage",
    "MultiFrameGrayscaleByteSecondaryCaptureImageStorage",
    "MultiFrameGrayscaleWordSecondaryCaptureImageStorage",
    "MultiFrameTrueColorSecondaryCaptureImageStorage",
)


def film_classes() -> frozenset[str]:
    """The SOP Class UIDs of films."""
    found = (getattr(uids, keyword, None) for keyword in (*PROJECTIONS, *_CAPTURES))
    return frozenset(str(uid) for uid in found if uid is not None)


def accepted_contexts() -> list[PresentationContext]:
    """Verification, and each class of films in each transfer syntax."""
    syntaxes = [str(syntax) for syntax in CODINGS]
    return [
        build_context(Verification),
        *(build_context(uid, syntaxes) for uid in sorted(film_classes())),
    ]
