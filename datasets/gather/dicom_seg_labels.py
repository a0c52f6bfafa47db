"""Labels of the films of a folder by one DICOM SEG; what cannot be used is counted."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pycocotools import mask as coco_mask

from datasets.gather.dicom_seg_folder import DicomFolder, open_dicom
from datasets.gather.dicom_seg_frames import Shown
from datasets.gather.dicom_seg_object import SegHeader, read_header
from datasets.gather.dicom_seg_pixels import Rle, SegFrames
from datasets.gather.ledger import Ledger
from solo.errors import ImageTooLargeError, SoloError

_MOST_BYTES = 2**28  # of all run lengths of a SEG

Frame = tuple[str, int]
"""A film's SOP instance UID, and which of its frames, from 0."""


@dataclass(frozen=True)
class Labels:
    """What a SEG says of the films that are there.

    Attributes:
        file: its name.
        header: of it.
        masks: by frame of a film and segment; none where it says that there is nothing.
    """

    file: str
    header: SegHeader
    masks: dict[Frame, dict[int, Rle]]


def read_labels(path: Path, folder: DicomFolder, ledger: Ledger) -> Labels | None:
    """Reads a SEG; None for one that cannot be read.

    Args:
        path: of its file.
        folder: with the films.
        ledger: counts its instances, and those that are dropped.
    """
    labels = None
    try:
        file = open_dicom(path)
        labels = Labels(path.name, read_header(file.dataset), {})
        _read_frames(labels, SegFrames.of(file), folder, ledger)
    except SoloError as error:
        lost = sum(map(len, labels.masks.values())) if labels else 0
        ledger.instances += lost
        sentence = f"'{path.name}' is a SEG that cannot be read, save it anew: {error.detail}"
        ledger.drop(sentence, instances=lost)
        return None
    masks = {where: _sound(labels, own, ledger) for where, own in labels.masks.items()}
    return replace(labels, masks=masks)


def _read_frames(labels: Labels, frames: SegFrames, folder: DicomFolder, ledger: Ledger) -> None:
    """Adds the masks of all frames; those of one segment and film are one."""
    header, told = labels.header, set[object]()
    nothing, length = frames.nothing(), 0
    for number, shown in enumerate(header.frames):
        where = _find(shown, header, folder, frames.size)
        if isinstance(where, str):
            segments = header.segments if shown.segment is None else [shown.segment]
            is_there = not shown.films or any(uid in folder.films for uid, _ in shown.films)
            for segment in segments:
                if (segment, shown.films) not in told:
                    told.add((segment, shown.films))
                    ledger.instances += 1
                    sentence = f"a SEG, '{labels.file}', {where}"
                    ledger.drop(sentence, instances=1, hides=is_there)
            continue
        found = frames.masks(number)
        if shown.segment is not None:
            found = {shown.segment: found.get(1, nothing)}
        length += sum(len(mask["counts"]) for mask in found.values())
        if length > _MOST_BYTES:
            raise ImageTooLargeError(
                f"its masks take more than {_MOST_BYTES:,} bytes of run lengths"
            )
        own = labels.masks.setdefault(where, {})
        for segment, mask in found.items():
            own[segment] = coco_mask.merge([own[segment], mask]) if segment in own else mask


def _find(
    shown: Shown, header: SegHeader, folder: DicomFolder, size: tuple[int, int]
) -> Frame | str:
    """The frame of the film that a frame of a SEG is of, or why there is none."""
    references = shown.films
    if not references and header.series:
        of_series = [uid for uid, film in folder.films.items() if film.series == header.series]
        references = frozenset((uid, None) for uid in of_series)
    if len(references) != 1:
        return "does not say by UID which film it is of: save it with a reference to its image"
    ((uid, frame),) = references
    film = folder.films.get(uid)
    if film is None:
        return "is of a film that is not there, or of what is no radiograph: put the film beside it"
    if film.size != size:
        height, width = film.size
        return f"is of {size[0]} x {size[1]} pixels, its film of {height} x {width}"
    if frame is None and film.frames > 1:
        return f"does not say which of its film's {film.frames} frames it is of"
    if not 1 <= (frame or 1) <= film.frames:
        return f"is of frame {frame} of a film that has {film.frames}"
    return uid, (frame or 1) - 1


def _sound(labels: Labels, masks: dict[int, Rle], ledger: Ledger) -> dict[int, Rle]:
    """The masks of a film that show something, of segments that are described."""
    ledger.instances += len(masks)
    kept = {}
    for segment, mask in masks.items():
        if not coco_mask.area(mask):
            sentence = f"a segment of '{labels.file}' has no pixel on its film"
            ledger.drop(sentence, instances=1, hides=False)
        elif segment not in labels.header.segments:
            ledger.drop(f"a segment that '{labels.file}' does not describe", instances=1)
        else:
            kept[segment] = mask
    return kept
