"""Header of a DICOM SEG: its segments, its films and its version (PS3.3 A.51)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pydicom import charset
from pydicom.datadict import tag_for_keyword
from pydicom.uid import SegmentationStorage
from pydicom.valuerep import TEXT_VR_DELIMS

from datasets.gather.dicom_seg_frames import Shown, read_frames, references
from datasets.gather.dicom_seg_names import SegmentName
from solo.decoding.dicom.element_walk import Elements
from solo.decoding.dicom.elements import code, integer, items

SEG_CLASSES: Final = (str(SegmentationStorage), "1.2.840.10008.5.1.4.1.1.66.7")
"""Segmentation and Label Map Segmentation Storage."""
_BACKGROUND: Final = "125040"  # DCM, of PS3.16
_MOST_BYTES: Final = 1024  # of a text
_DATES: Final = ("Content", "InstanceCreation", "Series")


@dataclass(frozen=True)
class SegHeader:
    """A SEG without its pixels.

    Attributes:
        uid: SOP instance UID.
        replaces: UIDs of the objects that it is a new version of, where it says so.
        rank: of two for the same film the higher one counts: that which a person had a hand in,
            then the later one.
        by_model: whether all segments are a model's alone.
        segments: by number, without the background.
        series: UID of the film's series, where it names one only and no films.
        frames: what each shows.
    """

    uid: str
    replaces: frozenset[str]
    rank: tuple[bool, str, str]
    by_model: bool
    segments: dict[int, SegmentName]
    series: str
    frames: tuple[Shown, ...]


def read_header(dataset: Elements) -> SegHeader:
    """Reads what a SEG says of its segments and frames.

    Raises:
        MalformedError: for sequences that are damaged, and frames that are not described.
    """
    segments = list(items(dataset, "SegmentSequence"))
    names = {integer(one, "SegmentNumber"): _segment_name(one, dataset) for one in segments}
    by_model = all(code(one, "SegmentAlgorithmType") == "AUTOMATIC" for one in segments)
    series = list(items(dataset, "ReferencedSeriesSequence"))
    for study in items(dataset, "StudiesContainingOtherReferencedInstancesSequence"):
        series += items(study, "ReferencedSeriesSequence")
    referred = [one for item in series for one in references(item, "ReferencedInstanceSequence")]
    fallback = frozenset(referred or references(dataset, "SourceImageSequence"))
    return SegHeader(
        uid=code(dataset, "SOPInstanceUID"),
        replaces=frozenset(_predecessors(dataset)),
        rank=(not by_model, *_moment(dataset)),
        by_model=by_model,
        segments={
            number: name
            for number, name in names.items()
            if number > 0 and name.type_code != _BACKGROUND
        },
        series=code(series[0], "SeriesInstanceUID") if len(series) == 1 and not fallback else "",
        frames=tuple(read_frames(dataset, fallback, list(names))),
    )


def _predecessors(dataset: Elements) -> Iterator[str]:
    for study in items(dataset, "PredecessorDocumentsSequence"):
        for series in items(study, "ReferencedSeriesSequence"):
            for image in items(series, "ReferencedSOPSequence"):
                yield code(image, "ReferencedSOPInstanceUID")


def _moment(dataset: Elements) -> tuple[str, str]:
    for name in _DATES:
        if date := code(dataset, f"{name}Date"):
            return date.replace(".", ""), code(dataset, f"{name}Time").replace(":", "")
    return "", ""


def _segment_name(segment: Elements, dataset: Elements) -> SegmentName:
    kind = next(items(segment, "SegmentedPropertyTypeCodeSequence"), Elements())
    sides = items(kind, "SegmentedPropertyTypeModifierCodeSequence")
    words = [_text(side, "CodeMeaning", dataset) for side in sides]
    words.append(_text(kind, "CodeMeaning", dataset))
    label = _text(segment, "SegmentLabel", dataset)
    return SegmentName(label, code(kind, "CodeValue"), " ".join(filter(None, words)))


def _text(item: Elements, keyword: str, dataset: Elements) -> str:
    """A text in the object's character set, cut where it is longer than a name."""
    found = item.get(tag_for_keyword(keyword) or 0)
    if found is None:
        return ""
    declared = dataset.get(tag_for_keyword("SpecificCharacterSet") or 0)
    names = (declared.value[:_MOST_BYTES] if declared else b"").decode("ascii", "replace")
    value = found.value[:_MOST_BYTES]
    with warnings.catch_warnings(), suppress(Exception):  # which would quote the file
        warnings.simplefilter("ignore")
        if not names.strip("\0 "):  # OHIF writes UTF-8 without saying so
            return value.decode().strip("\0 ")
        encodings = charset.convert_encodings([name.strip("\0 ") for name in names.split("\\")])
        return charset.decode_bytes(value, encodings, TEXT_VR_DELIMS).strip("\0 ")
    return value.decode("latin-1").strip("\0 ")
