"""Segmentation object, BINARY (PS3.3 A.51, C.8.20): a segment and a frame for each instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.tag import Tag

from solo.contract.manifest import ClassCodes
from solo.formats.dicom.modules import coded, notice
from solo.formats.dicom.segments import segments
from solo.formats.dicom.source import Source
from solo.formats.dicom.uids import derived_uid
from solo.masks.rle import MaskRuns
from solo.result import Result

_REFERENCED_SEGMENT: Final = Tag("ReferencedSegmentNumber")
_SEGMENT_IDENTIFICATION: Final = Tag("SegmentIdentificationSequence")
_ROW_THEN_COLUMN: Final = [1, 0, 0, 0, 1, 0]


def fill_segmentation(
    dataset: Dataset,
    result: Result,
    source: Source,
    class_codes: Mapping[str, ClassCodes],
    *,
    frames: int,
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
        frames: of the pixel data; those beyond one an instance are empty, and the last segment's.
        assumed_orientation: writes the orientation that some viewers cannot do without, which the
            standard has for objects with a frame of reference only.

    Raises:
        NoCodesError: for an instance whose class has no codes.
    """
    info, runs = result.radiograph, [instance.runs for instance in result.instances]
    uid = str(dataset.SOPInstanceUID)
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = info.height, info.width, frames
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = dataset.PixelRepresentation = 0
    dataset.SegmentationType = "BINARY"
    dataset.SegmentsOverlap = "YES" if overlap(runs) else "NO"
    dataset.LossyImageCompression = "00" if source.lossy is None else "01"
    dataset.ContentLabel = "CORRECTED" if result.is_annotated else "SEGMENTATION"
    dataset.ContentDescription = notice(result)
    dataset.ContentCreatorName = ""
    dataset.SegmentSequence = segments(result, class_codes, uid)
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
    numbers = [min(number, len(runs)) for number in range(1, frames + 1)]
    dataset.PerFrameFunctionalGroupsSequence = [_frame(number, derivation) for number in numbers]
    series = source.series_reference()
    series.ReferencedInstanceSequence = [source.reference(whole=True)]
    dataset.ReferencedSeriesSequence = [series]


def overlap(masks: Sequence[MaskRuns]) -> bool:
    """Whether two masks share a pixel."""
    edges = np.concatenate([runs.edges() for runs in masks])
    start, end = edges[np.argsort(edges[:, 0])].T
    return bool((start[1:] < end[:-1]).any())


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
