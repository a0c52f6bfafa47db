"""Segmentation object, BINARY (PS3.3 A.51, C.8.20): a segment and a frame for each instance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

import cv2
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.tag import Tag

from solo.contract.manifest import ClassCodes
from solo.errors import NoCodesError
from solo.formats.dicom.modules import NOTICE, ascii_text, coded
from solo.formats.dicom.source import Source
from solo.formats.dicom.uids import derived_uid
from solo.formats.pictures import COLOURS
from solo.masks.rle import MaskRuns
from solo.result import Instance, ModelIdentity, Result

_REFERENCED_SEGMENT: Final = Tag("ReferencedSegmentNumber")
_SEGMENT_IDENTIFICATION: Final = Tag("SegmentIdentificationSequence")
_ROW_THEN_COLUMN: Final = [1, 0, 0, 0, 1, 0]


def fill_segmentation(
    dataset: Dataset,
    result: Result,
    source: Source,
    class_codes: Mapping[str, ClassCodes],
    *,
    assumed_orientation: bool,
) -> None:
    """Adds all but the pixel data to the common modules.

    A radiograph has no frame of reference, so the planes have no place in a patient: each pixel is
    that of the film (A.51.5.1). Readers find the film by the Derivation Image of each frame.

    Args:
        dataset: with the common modules.
        result: with one instance at least.
        source: the film.
        class_codes: by label.
        assumed_orientation: writes the orientation that some viewers cannot do without, which the
            standard has for objects with a frame of reference only.

    Raises:
        NoCodesError: for an instance whose class has no codes.
    """
    info, runs = result.radiograph, [instance.runs for instance in result.instances]
    uid = str(dataset.SOPInstanceUID)
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = info.height, info.width, len(runs)
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = dataset.PixelRepresentation = 0
    dataset.SegmentationType = "BINARY"
    dataset.SegmentsOverlap = "YES" if overlap(runs) else "NO"
    dataset.LossyImageCompression = "00" if source.lossy is None else "01"
    dataset.ContentLabel, dataset.ContentDescription = "SEGMENTATION", NOTICE
    dataset.ContentCreatorName = ""
    dataset.SegmentSequence = _segments(result, class_codes, uid)
    organization = Dataset()
    organization.DimensionOrganizationUID = derived_uid(uid, "dimensions")
    dataset.DimensionOrganizationSequence = [organization]
    dataset.DimensionIndexSequence = [_segment_dimension(organization)]
    shared = Dataset()
    if assumed_orientation:
        plane = Dataset()
        plane.ImageOrientationPatient = _ROW_THEN_COLUMN
        shared.PlaneOrientationSequence = [plane]
    dataset.SharedFunctionalGroupsSequence = [shared]
    # In each frame, not in the shared groups: readers look for it there alone.
    derivation = _derivation(source)
    numbers = range(1, len(runs) + 1)
    dataset.PerFrameFunctionalGroupsSequence = [_frame(number, derivation) for number in numbers]
    series = source.series_reference()
    series.ReferencedInstanceSequence = [source.reference(whole=True)]
    dataset.ReferencedSeriesSequence = [series]


def overlap(masks: Sequence[MaskRuns]) -> bool:
    """Whether two masks share a pixel."""
    edges = np.concatenate([runs.edges() for runs in masks])
    start, end = edges[np.argsort(edges[:, 0])].T
    return bool((start[1:] < end[:-1]).any())


def segment_names(instances: Sequence[Instance]) -> list[str]:
    """Labels, with a number where a class has several: `lung 1`, `lung 2`."""
    of_class = Counter(instance.label for instance in instances)
    seen, names = Counter[str](), []
    for instance in instances:
        seen[instance.label] += 1
        number = f" {seen[instance.label]}" if of_class[instance.label] > 1 else ""
        names.append(ascii_text(instance.label, 56) + number)
    return names


def _segments(result: Result, class_codes: Mapping[str, ClassCodes], uid: str) -> list[Dataset]:
    names = segment_names(result.instances)
    segments = []
    for number, (instance, name) in enumerate(zip(result.instances, names, strict=True), 1):
        found = class_codes.get(instance.label)
        if found is None:
            raise NoCodesError(
                f"the model's file has no codes for its class {instance.label!r}, and a DICOM SEG "
                "names what it shows by codes: export the model with them in `class_codes`"
            )
        segment = _segment(number, name, found, result.model)
        segment.SegmentDescription = f"score {instance.score:.3f}"
        segment.TrackingID = f"{name} of {ascii_text(result.model.name)}"
        segment.TrackingUID = derived_uid(uid, "tracking", str(number))
        segments.append(segment)
    return segments


def _segment(number: int, name: str, found: ClassCodes, model: ModelIdentity) -> Dataset:
    segment = Dataset()
    segment.SegmentNumber, segment.SegmentLabel = number, name
    segment.SegmentAlgorithmType = "AUTOMATIC"
    segment.SegmentAlgorithmName = ascii_text(model.name)
    algorithm = Dataset()
    algorithm.AlgorithmFamilyCodeSequence = [coded(codes.DCM.ArtificialIntelligence)]
    algorithm.AlgorithmName = ascii_text(model.name)
    algorithm.AlgorithmVersion = ascii_text(model.version)
    segment.SegmentationAlgorithmIdentificationSequence = [algorithm]
    segment.SegmentedPropertyCategoryCodeSequence = [coded(found.category)]
    kind = coded(found.type)
    if found.side is not None:
        kind.SegmentedPropertyTypeModifierCodeSequence = [coded(found.side)]
    segment.SegmentedPropertyTypeCodeSequence = [kind]
    segment.RecommendedDisplayCIELabValue = cielab(COLOURS[(number - 1) % len(COLOURS)])
    return segment


def cielab(colour: tuple[int, int, int]) -> list[int]:
    """A colour of the overlays, BGR in 8 bits, as PS3.3 C.10.7.1.1 scales CIELab: uint16 each."""
    pixel = np.array([[colour]], np.float32) / 255
    lightness, a, b = cv2.cvtColor(pixel, cv2.COLOR_BGR2Lab)[0, 0].tolist()
    scaled = (lightness / 100, (a + 128) / 255, (b + 128) / 255)
    return [round(min(max(one, 0), 1) * 65535) for one in scaled]


def _segment_dimension(organization: Dataset) -> Dataset:
    dimension = Dataset()
    dimension.DimensionOrganizationUID = organization.DimensionOrganizationUID
    dimension.DimensionIndexPointer = _REFERENCED_SEGMENT
    dimension.FunctionalGroupPointer = _SEGMENT_IDENTIFICATION
    dimension.DimensionDescriptionLabel = "Segment"
    return dimension


def _derivation(source: Source) -> Dataset:
    image = source.reference()
    image.SpatialLocationsPreserved = "YES"
    image.PurposeOfReferenceCodeSequence = [coded(codes.DCM.SourceImageForImageProcessingOperation)]
    derivation = Dataset()
    derivation.SourceImageSequence = [image]
    derivation.DerivationCodeSequence = [coded(codes.DCM.Segmentation)]
    return derivation


def _frame(number: int, derivation: Dataset) -> Dataset:
    content, segment, frame = Dataset(), Dataset(), Dataset()
    content.DimensionIndexValues = number
    segment.ReferencedSegmentNumber = number
    frame.DerivationImageSequence = [derivation]
    frame.FrameContentSequence = [content]
    frame.SegmentIdentificationSequence = [segment]
    return frame
