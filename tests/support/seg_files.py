"""DICOM SEG objects as other tools write them, built element by element with pydicom's packing."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.pixels.utils import pack_bits
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    RLELossless,
    SegmentationStorage,
)

LABELMAP_STORAGE = UID("1.2.840.10008.5.1.4.1.1.66.7")
TISSUE = ("85756007", "Tissue")
LUNG, HEART = ("39607008", "Lung"), ("80891009", "Heart")


class Segment(NamedTuple):
    """What a segment is called: its label, its type's code and meaning, and who made it."""

    label: str
    code: tuple[str, str] = TISSUE
    side: str = ""
    made: str = "MANUAL"


class Frame(NamedTuple):
    """What a frame shows: a segment by number, of which films by UID and frame."""

    pixels: npt.NDArray[Any]
    segment: int | None
    films: Sequence[tuple[str, int | None]]


def seg_file(
    segments: Sequence[Segment],
    frames: Sequence[Frame],
    kind: str = "BINARY",
    syntax: UID = ExplicitVRLittleEndian,
    **elements: Any,
) -> bytes:
    """A SEG; `elements` by keyword take the place of the defaults, None leaves one out."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = LABELMAP_STORAGE if kind == "LABELMAP" else SegmentationStorage
    meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
    meta.TransferSyntaxUID = ExplicitVRLittleEndian if syntax == RLELossless else syntax
    dataset = FileDataset("", Dataset(), preamble=bytes(128), file_meta=meta)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, "1.2.3.4"
    dataset.Modality, dataset.PatientName, dataset.PatientID = "SEG", "Planted^Patient", "4711"
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ContentDate, dataset.ContentTime = "20260102", "030405"
    dataset.SegmentationType = kind
    dataset.NumberOfFrames = len(frames)
    dataset.Rows, dataset.Columns = frames[0].pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.PixelRepresentation = 0
    dataset.BitsAllocated = dataset.BitsStored = 1 if kind == "BINARY" else 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.SegmentSequence = [_segment(number, one) for number, one in enumerate(segments, 1)]
    dataset.PerFrameFunctionalGroupsSequence = [_frame(one) for one in frames]
    pixels = np.stack([one.pixels for one in frames]).astype(np.uint8)
    data = pack_bits(pixels) if kind == "BINARY" else pixels.tobytes()
    dataset.PixelData = data + bytes(len(data) % 2)
    for keyword, value in elements.items():
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)
    if syntax == RLELossless:
        dataset.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    output = io.BytesIO()
    dcmwrite(output, dataset, enforce_file_format=True)
    return output.getvalue()


def reference(uid: str, frame: int | None = None) -> Dataset:
    """An item that refers to a film."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", uid
    if frame is not None:
        item.ReferencedFrameNumber = frame
    return item


def series_reference(series: str, *films: str) -> Dataset:
    """An item of Referenced Series Sequence."""
    item = Dataset()
    item.SeriesInstanceUID = series
    if films:
        item.ReferencedInstanceSequence = [reference(uid) for uid in films]
    return item


def predecessor(uid: str) -> Dataset:
    """An item of Predecessor Documents Sequence."""
    series, study = Dataset(), Dataset()
    series.ReferencedSOPSequence = [reference(uid)]
    study.ReferencedSeriesSequence = [series]
    return study


def _segment(number: int, one: Segment) -> Dataset:
    segment, kind, side = Dataset(), Dataset(), Dataset()
    segment.SegmentNumber, segment.SegmentLabel = number, one.label
    segment.SegmentAlgorithmType = one.made
    kind.CodeValue, kind.CodingSchemeDesignator, kind.CodeMeaning = one.code[0], "SCT", one.code[1]
    if one.side:
        side.CodeValue, side.CodingSchemeDesignator, side.CodeMeaning = "0", "SCT", one.side
        kind.SegmentedPropertyTypeModifierCodeSequence = [side]
    segment.SegmentedPropertyTypeCodeSequence = [kind]
    return segment


def _frame(one: Frame) -> Dataset:
    frame = Dataset()
    if one.segment is not None:
        shown = Dataset()
        shown.ReferencedSegmentNumber = one.segment
        frame.SegmentIdentificationSequence = [shown]
    if one.films:
        derivation = Dataset()
        derivation.SourceImageSequence = [reference(*film) for film in one.films]
        frame.DerivationImageSequence = [derivation]
    return frame


DEFLATED = DeflatedExplicitVRLittleEndian
