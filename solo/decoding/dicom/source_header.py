"""Source header: the raw elements and the display of a film that its DICOM results need.

A result belongs to the patient, the study and the image that it is of, so it has to repeat them.
They are copied by the list below, as the bytes that they are: no text of them is ever converted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydicom.datadict import tag_for_keyword

from solo.decoding.dicom.element_walk import Element, Elements
from solo.decoding.dicom.voi_attributes import GreyDescription, LookupTable
from solo.decoding.window import Window
from solo.errors import MalformedError

MAX_ELEMENT_BYTES: Final = 1024
"""More than a person's name of 3 x 64 characters takes in any character set (PS3.5 6.2)."""

IDENTITY: Final = (
    "SpecificCharacterSet",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyInstanceUID",
    "StudyID",
)
"""Patient and study: what PS3.3 C.7.1.1 and C.7.2.1 require, and what tells two patients apart."""
REFERENCES: Final = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
"""By these a result refers to its film."""
_IMAGE: Final = (
    "PatientOrientation",
    "PixelAspectRatio",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "LossyImageCompressionMethod",
)
TAGS: Final = {name: tag_for_keyword(name) or 0 for name in (*IDENTITY, *REFERENCES, *_IMAGE)}
"""All that is copied: tags by keyword."""

_CLASS: Final = TAGS["SOPClassUID"]
_TEXT: Final = {
    *(None, "UN", "AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM"),
    *("UC", "UI", "UR", "UT"),
}


@dataclass(frozen=True)
class Presentation:
    """The way from stored values to grey (PS3.3 C.11), as the model saw the film.

    Attributes:
        slope: of the rescale; it and the intercept are of no effect beside a Modality LUT.
        intercept: of the rescale.
        modality_lut: None where the film has none.
        voi: the film's window or VOI LUT, or the window that its percentiles amount to.
        inverted: whether the smallest value is white.
    """

    slope: float
    intercept: float
    modality_lut: LookupTable | None
    voi: Window | LookupTable
    inverted: bool

    @classmethod
    def of(cls, description: GreyDescription, voi: Window | LookupTable) -> Presentation:
        """That of a film of one sample a pixel."""
        return cls(
            description.slope,
            description.intercept,
            description.modality_lut,
            voi,
            description.inverted,
        )


@dataclass(frozen=True, eq=False, repr=False)  # a repr may end in a log
class SourceHeader:
    """What DICOM results take over from the film.

    Attributes:
        elements: raw values by tag, of `TAGS` alone; what the film does not have is not there.
        presentation: None for a film in colour.
    """

    elements: Mapping[int, bytes]
    presentation: Presentation | None


def read_source_header(
    dataset: Elements, media_class: str, presentation: Presentation | None
) -> SourceHeader:
    """Copies the listed elements of a data set.

    Args:
        dataset: of the film.
        media_class: Media Storage SOP Class UID of the file, for a data set without a class.
        presentation: of its pixels.

    Raises:
        MalformedError: for an element that is too long to be what it should be.
    """
    elements = {}
    for name, tag in TAGS.items():
        if (found := dataset.get(tag)) is not None and found.representation in _TEXT:
            elements[tag] = _bounded(name, found)
    if not elements.get(_CLASS) and media_class:
        elements[_CLASS] = media_class.encode("ascii", "replace")
    return SourceHeader(elements, presentation)


def _bounded(name: str, element: Element) -> bytes:
    if len(element.value) > MAX_ELEMENT_BYTES:
        raise MalformedError(
            f"the DICOM element {name} has {len(element.value):,} bytes; at most "
            f"{MAX_ELEMENT_BYTES:,} are copied into a DICOM result"
        )
    return element.value
