"""Sources of a gathered data set, all read into one form whatever they are.

`read_source` is where a format is told from another.
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
from datasets.gather.ledger import Ledger
from model.data.coco import CROWDS, DatasetError, ImageRecord, examine_document, read_document
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
    """

    ledger: Ledger
    class_names: tuple[str, ...]
    category_ids: tuple[int, ...]
    films: tuple[Film, ...]
    notes: tuple[str, ...] = ()


def read_source(path: Path, scratch: Path) -> Source:
    """Reads a data set; no film is decoded.

    Args:
        path: a COCO data set as `load_coco` takes it, a folder of DICOM films with SEG objects, or
            a zip file of either.
        scratch: a folder that is not there, for the content of a zip file.

    Raises:
        DatasetError: if there is no annotation file that could be read in part, if it is not clear
            what its categories or images are, or if a zip file is not to be trusted.
    """
    if not path.is_file() or not (path.suffix.lower() == ".zip" or is_zipfile(path)):
        return _read(path, str(path))
    unpack(path, scratch)
    try:
        source = _read(scratch, str(path))
    except DatasetError as error:
        sentence = str(error).replace(str(scratch), str(path))
        advice = "give the path of one"  # of several annotation files
        raise DatasetError(sentence.replace(advice, f"unpack it, and {advice}")) from None
    for film in source.films:
        # A document with frames may lead to any file of the machine: see `FilmFiles.find`.
        if not film.record.path.resolve().is_relative_to(scratch.resolve()):
            raise DatasetError(f"{path}: image {film.record.image_id} lies outside of the archive")
    return source


def _read(path: Path, name: str) -> Source:
    from datasets.gather.dicom_seg import read_dicom_seg  # only here: it takes the classes above

    return read_dicom_seg(path, name) or _read_coco(path, name)


def _read_coco(path: Path, name: str) -> Source:
    document, files = read_document(path)
    data, faults = examine_document(document, files)
    faults = [fault.replace(str(path), name) for fault in faults]  # a scratch folder means nothing
    ledger = Ledger(name, len(document["images"]), len(document["annotations"]))
    unclear = list(_drop_faulty(document, faults, ledger))
    if unclear:
        raise DatasetError(*(f"{name}: {fault}" for fault in unclear))
    entries = {
        whole_number(entry.get("id")): entry
        for entry in document["images"]
        if isinstance(entry, dict)
    }
    films = [_film(record, entries[record.image_id]) for record in data.images]
    kept = tuple(_without_crowds(films, ledger))
    return Source(ledger, data.class_names, data.category_ids, kept)


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
