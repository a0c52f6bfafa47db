"""DICOM films with SEG objects as a data set: what was corrected in a hospital's own viewer.

A SEG may be of this project, of OHIF, Slicer or highdicom; wherever it lies below the folder, it
names its film by UID. A segment is an instance, however many parts it has.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pycocotools import mask as coco_mask
from tqdm import tqdm

from datasets.gather.dicom_seg_folder import DicomFolder, FilmFile, has_seg, read_folder
from datasets.gather.dicom_seg_labels import Frame, Labels, read_labels
from datasets.gather.dicom_seg_names import SegmentName, class_names
from datasets.gather.ledger import Ledger
from datasets.gather.source import Film, Source
from model.data.annotation_file import find_annotation_file
from model.data.coco import Annotation, DatasetError, ImageRecord

_LISTED = 5  # labels of a class


def read_dicom_seg(folder: Path, name: str) -> Source | None:
    """Reads a folder of DICOM films and SEG objects; no film is decoded.

    Films that no frame of a SEG is of are dropped: nobody looked at them. A film whose SEG objects
    have no pixel is kept, since that says that there is nothing.

    Args:
        folder: with the files anywhere below it.
        name: of the source.

    Returns:
        The source; None for what is no folder, is a COCO data set, or has no SEG.

    Raises:
        DatasetError: if no film is left, saying why.
    """
    if not folder.is_dir() or _is_coco(folder) or not has_seg(folder):
        return None
    ledger = Ledger(name, 0, 0)
    found = read_folder(folder, ledger)
    read = [
        read_labels(path, found, ledger)
        for path in tqdm(found.segs, desc="reading SEG objects", unit="file")
    ]
    labels = [one for one in read if one is not None]
    names = class_names(segment for one in labels for segment in one.header.segments.values())
    chosen = _choose(labels, names, ledger)
    classes = tuple(sorted(set(names.values())))
    films = tuple(_films(found, chosen, names, classes, ledger))
    if not films:
        raise DatasetError(*(f"{name}: {entry.sentence}" for entry in ledger.dropped.values()))
    return Source(
        ledger,
        classes,
        tuple(range(1, len(classes) + 1)),
        films,
        notes=(*_labels_of_classes(names), *_by_models(chosen)),
    )


def _is_coco(folder: Path) -> bool:
    try:
        file, _ = find_annotation_file(folder)
    except ValueError:
        return False
    return b'"annotations"' in file.read_bytes()


def _choose(
    labels: Sequence[Labels], names: Mapping[SegmentName, str], ledger: Ledger
) -> dict[Frame, list[Labels]]:
    """The SEG objects that count for each frame of a film.

    Of two that show the same class one counts, as a whole, since a viewer saves all segments of
    what it corrects, and what it leaves out was taken away: one that a person had a hand in rather
    than a model's own, then the later one. One without a class in common is another part.
    """
    found: defaultdict[Frame, list[Labels]] = defaultdict(list)
    for one in sorted(labels, key=lambda one: (one.header.rank, one.file), reverse=True):
        for where in one.masks:
            found[where].append(one)
    for where, given in found.items():
        kept: list[Labels] = []
        taken: set[str] = set()
        replaced = {uid for one in given for uid in one.header.replaces - {one.header.uid}}
        for one in given:
            shows = {names[segment] for segment in one.header.segments.values()}
            if shows & taken or (one.header.uid in replaced and kept):
                sentence = f"another SEG of the film counts, not '{one.file}': see `--help`"
                ledger.drop(sentence, instances=len(one.masks[where]), hides=False)
            else:
                kept.append(one)
                taken |= shows
        found[where] = kept
    return found


def _films(
    folder: DicomFolder,
    chosen: Mapping[Frame, Sequence[Labels]],
    names: Mapping[SegmentName, str],
    classes: Sequence[str],
    ledger: Ledger,
) -> Iterator[Film]:
    for uid, film in folder.films.items():
        frames = [frame for frame in range(film.frames) if (uid, frame) in chosen]
        if film.frames > len(frames):
            sentence = f"no SEG is of '{film.path.name}', or none of a frame of it"
            ledger.drop(sentence, films=film.frames - len(frames))
        for frame in frames:
            annotations = tuple(
                Annotation(
                    classes.index(names[one.header.segments[segment]]),
                    (),
                    mask,
                    float(coco_mask.area(mask)),
                    is_crowd=False,
                )
                for one in chosen[uid, frame]
                for segment, mask in sorted(one.masks[uid, frame].items())
            )
            yield _film(film, frame, annotations)


def _film(film: FilmFile, frame: int, annotations: tuple[Annotation, ...]) -> Film:
    height, width = film.size
    record = ImageRecord(1, film.path, height, width, "", annotations, film.spacing_mm, frame)
    return Film(record, film.frames, {}, film.name)


def _labels_of_classes(names: Mapping[SegmentName, str]) -> Iterator[str]:
    """Which labels became another name."""
    labels: defaultdict[str, set[str]] = defaultdict(set)
    for segment, name in names.items():
        if segment.label != name:
            labels[name].add(segment.label)
    for name, found in sorted(labels.items()):
        listed = ", ".join(f"'{label}'" for label in sorted(found)[:_LISTED])
        more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        yield f"Segments called {listed}{more} are instances of '{name}'."


def _by_models(chosen: Mapping[Frame, Sequence[Labels]]) -> Iterator[str]:
    count = sum(any(one.header.by_model for one in labels) for labels in chosen.values())
    if count:
        yield f"Films with labels that are a model's own, by what their SEG says: {count:,}."
