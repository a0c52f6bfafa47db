"""Sources of a gathered data set, all read and checked in one form whatever they are.

`datasets.gather.layouts.detection` is where a layout is told from another.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

from datasets.gather.archive import unpack
from datasets.gather.layouts.detection import read_exports
from datasets.gather.layouts.export import Export
from datasets.gather.ledger import Ledger
from model.data.coco import CROWDS, DatasetError, ImageRecord, examine_document
from model.data.coco_entries import patient_of
from model.data.coco_values import is_text, whole_number

_ANNOTATION = re.compile(r"annotation (?:number )?-?\d+(?: of image (-?\d+):)?")
_IMAGE = re.compile(r"image (number )?(-?\d+)")
_REPEATED = "annotation id "  # nothing is lost by it: each gets an id of its own


@dataclass(frozen=True)
class Film:
    """One film of a source.

    Attributes:
        record: with sound objects only; its `patient` is "" where none is named.
        frames: how many its file has, as far as the source says.
        attribution: its `license` and `url`, where these are texts.
        name: that its file gets; "" for the one that it has.
    """

    record: ImageRecord
    frames: int
    attribution: dict[str, str]
    name: str = ""


@dataclass(frozen=True)
class Source:
    """What a source holds that can be used.

    Attributes:
        ledger: with what was dropped so far.
        class_names: which the films' labels index.
        category_ids: one a class.
        films: in the source's order.
        notes: sentences on how it was read.
        split: train, val or test; "" for a source without splits.
    """

    ledger: Ledger
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    films: tuple[Film, ...]
    notes: tuple[str, ...] = ()
    split: str = ""


def read_sources(path: Path, scratch: Path, class_name: str = "") -> list[Source]:
    """Reads a data set, one source for each of its splits; no film of a COCO data set is decoded.

    Args:
        path: a folder in one of the layouts that are read, an annotation file, or a zip file.
        scratch: a folder that is not there, for the content of a zip file; one beside it is for
            films that are within JSON files.
        class_name: of objects whose layout has no classes.

    Raises:
        DatasetError: if the layout is unknown or unclear, if it is not clear what the categories or
            images are, or if a zip file is not to be trusted.
    """
    embedded = scratch.with_name(f"{scratch.name}-films")
    if not path.is_file() or not (path.suffix.lower() == ".zip" or is_zipfile(path)):
        return _read(path, str(path), embedded, class_name)
    unpack(path, scratch)
    try:
        sources = _read(scratch, str(path), embedded, class_name)
    except DatasetError as error:
        sentence = str(error).replace(str(scratch), str(path))
        advice = "give the path of one"  # of several annotation files
        raise DatasetError(sentence.replace(advice, f"unpack it, and {advice}")) from None
    inside = scratch.resolve(), embedded.resolve()
    for film in (film for source in sources for film in source.films):
        # A document with frames may lead to any file of the machine: see `FilmFiles.find`.
        if not any(map(film.record.path.resolve().is_relative_to, inside)):
            raise DatasetError(f"{path}: image {film.record.image_id} lies outside of the archive")
    return sources


def _read(path: Path, name: str, embedded: Path, class_name: str) -> list[Source]:
    from datasets.gather.dicom_seg import read_dicom_seg  # only here: it takes the classes above

    if seg := read_dicom_seg(path, name):
        return [seg]
    return [
        _source(export, path, f"{name} ({export.split})" if export.split else name)
        for export in read_exports(path, embedded, class_name)
    ]


def _source(export: Export, path: Path, name: str) -> Source:
    document = export.document
    data, faults = examine_document(document, export.films)
    faults = [fault.replace(str(path), name) for fault in faults]  # a scratch folder means nothing
    ledger = Ledger(
        name, len(document["images"]), len(document["annotations"]), film_names=export.film_names
    )
    for loss in export.lost:
        ledger.films += loss.films
        ledger.instances += loss.instances
        ledger.drop(loss.sentence, films=loss.films, instances=loss.instances)
    unclear = list(_drop_faulty(document, faults, ledger))
    if unclear:
        losses = (f"{name}: {loss.sentence}" for loss in export.lost)  # which may say why
        raise DatasetError(*(f"{name}: {fault}" for fault in unclear), *losses)
    entries = {
        whole_number(entry.get("id")): entry
        for entry in document["images"]
        if isinstance(entry, dict)
    }
    films = [_film(record, entries[record.image_id]) for record in data.images]
    kept = tuple(_without_crowds(films, ledger))
    notes = tuple(f"{name}: {note}" for note in export.notes)
    return Source(ledger, data.class_names, data.category_ids, kept, notes, export.split)


def _drop_faulty(document: dict[str, Any], faults: list[str], ledger: Ledger) -> Iterator[str]:
    """Counts the entries that have a fault; yields the faults that are of no single entry."""
    objects = Counter(
        whole_number(entry.get("image_id"))
        for entry in document["annotations"]
        if isinstance(entry, dict)
    )
    films: dict[tuple[str | None, str], str] = {}
    for fault in faults:
        if annotation := _ANNOTATION.match(fault):
            ledger.drop(fault, instances=1)
            objects[int(annotation[1]) if annotation[1] else None] -= 1
        elif image := _IMAGE.match(fault):
            films.setdefault((image[1], image[2]), fault)
        elif not fault.startswith(_REPEATED):
            yield fault
    for (is_number, key), fault in films.items():
        ledger.drop(fault, films=1, instances=0 if is_number else objects[int(key)])


def _film(record: ImageRecord, entry: dict[str, Any]) -> Film:
    is_named = patient_of(record.image_id, entry) != patient_of(record.image_id, {})
    frames = entry["frames"] if record.frame else 1
    attribution = {key: entry[key] for key in ("license", "url") if is_text(entry.get(key))}
    return Film(record if is_named else replace(record, patient=""), frames, attribution)


def _without_crowds(films: list[Film], ledger: Ledger) -> Iterator[Film]:
    for film in films:
        objects = tuple(item for item in film.record.annotations if not item.is_crowd)
        crowds = len(film.record.annotations) - len(objects)
        for _ in range(crowds):
            ledger.drop(f"crowd regions: {CROWDS}", instances=1)
        yield replace(film, record=replace(film.record, annotations=objects)) if crowds else film
