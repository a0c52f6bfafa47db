"""The film that a DICOM object is of: its identity as raw bytes, and the UIDs that refer to it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from pydicom import config
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from solo.decoding.dicom.source_header import IDENTITY, REFERENCES, TAGS, Presentation, SourceHeader
from solo.errors import NoDicomResultError
from solo.result import Result

_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)+")
_MOST_CHARACTERS: Final = 64
_PADDING: Final = b"\0 "


@dataclass(frozen=True, eq=False, repr=False)  # a repr may end in a log
class Source:
    """A film as its results refer to it.

    Attributes:
        sop_class: UID.
        sop_instance: UID.
        series: UID.
        study: UID.
        frame: of a multi-frame film, from 1; None for a film of one frame.
        identity: raw values of patient and study by tag.
        orientation: raw value of Patient Orientation.
        aspect: raw value of Pixel Aspect Ratio.
        lossy: raw values of ratio and method by tag where the film was compressed with loss.
        presentation: None for a film in colour.
    """

    sop_class: str
    sop_instance: str
    series: str
    study: str
    frame: int | None
    identity: Mapping[int, bytes]
    orientation: bytes
    aspect: bytes
    lossy: Mapping[int, bytes] | None
    presentation: Presentation | None

    @classmethod
    def of(cls, result: Result) -> Self:
        """The film of a result.

        Raises:
            NoDicomResultError: if it is no DICOM, or lacks a UID that its results refer to.
        """
        header, info = result.source_header, result.radiograph
        if header is None:
            raise NoDicomResultError(
                f"a DICOM object refers to a DICOM film, and this one is {info.kind.upper()}: "
                "send the DICOM file itself, or ask for JSON"
            )
        uids = [_uid(header, name) for name in REFERENCES]
        values = header.elements
        ratio, method = TAGS["LossyImageCompressionRatio"], TAGS["LossyImageCompressionMethod"]
        is_lossy = values.get(TAGS["LossyImageCompression"], b"").strip(_PADDING) == b"01"
        return cls(
            sop_class=uids[0],
            sop_instance=uids[1],
            series=uids[2],
            study=uids[3],
            frame=info.frame + 1 if info.frames > 1 else None,
            identity={TAGS[name]: values[TAGS[name]] for name in IDENTITY if TAGS[name] in values}
            | {TAGS["StudyInstanceUID"]: uids[3].encode()},  # without a stranger's padding
            orientation=values.get(TAGS["PatientOrientation"], b""),
            aspect=values.get(TAGS["PixelAspectRatio"], b""),
            lossy={tag: values[tag] for tag in (ratio, method) if tag in values}
            if is_lossy
            else None,
            presentation=header.presentation,
        )

    def reference(self, *, whole: bool = False) -> Dataset:
        """An item that refers to the frame (PS3.3 Table 10-3), or to the film (Table 10-11)."""
        item = Dataset()
        _set_uid(item, "ReferencedSOPClassUID", self.sop_class)
        _set_uid(item, "ReferencedSOPInstanceUID", self.sop_instance)
        if self.frame is not None and not whole:
            item.ReferencedFrameNumber = self.frame
        return item

    def series_reference(self) -> Dataset:
        """An item of Referenced Series Sequence, without its instances."""
        item = Dataset()
        _set_uid(item, "SeriesInstanceUID", self.series)
        return item


def _set_uid(item: Dataset, keyword: str, value: str) -> None:
    """Sets a UID of the film, which pydicom's warnings would quote if it is not quite one."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    item[tag] = DataElement(tag, "UI", value, validation_mode=config.IGNORE)


def _uid(header: SourceHeader, keyword: str) -> str:
    text = header.elements.get(TAGS[keyword], b"").strip(_PADDING).decode("ascii", "replace")
    if not _UID.fullmatch(text) or len(text) > _MOST_CHARACTERS:
        raise NoDicomResultError(
            f"a DICOM object refers to its film by UIDs, and the film has no usable {keyword}: "
            "send it as the archive has it"
        )
    return text
