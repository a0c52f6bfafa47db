"""Merging of sources: classes by name, every film once, numbers kept where they can be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, count

from datasets.gather.picture import Picture, Seen
from datasets.gather.source import Film, Source
from model.data.coco import DatasetError, ImageRecord
from model.data.coco_entries import read_categories
from model.data.orientation import TURNED_BY_VIEWERS


@dataclass(frozen=True)
class Entry:
    """A film of the merged set.

    Attributes:
        film: its `image_id` is the first source's, as its place in the set.
        picture: what it is known by.
        seen: the source that it is taken from.
        split: of the last source with splits that shows it; "" where there is none.
    """

    film: Film
    picture: Picture
    seen: Seen
    split: str

    @property
    def record(self) -> ImageRecord:
        """The film's record."""
        return self.film.record


def merge_categories(sources: Sequence[Source]) -> dict[str, int]:
    """Category ids by name: that of the first source that has the name, unless it is taken.

    Raises:
        DatasetError: for names that differ by case, blanks or underscores alone.
    """
    wanted: dict[str, int] = {}
    for source in sources:
        for name, key in zip(source.class_names, source.category_ids, strict=True):
            wanted.setdefault(name, key)
    ids = dict(zip(wanted, numbered(wanted.values()), strict=True))
    faults: list[str] = []
    entries = [{"id": key, "name": name} for name, key in ids.items()]
    read_categories({"categories": entries, "annotations": []}, faults)
    if faults:
        raise DatasetError(*(f"{fault}: give them one name in their sources" for fault in faults))
    return ids


def merge_films(sources: Sequence[Seen]) -> list[Entry]:
    """Each film once, as the last source has it that shows it.

    It keeps the place and the id that it had first, so that films without a patient stay in their
    fold, and its split, patient, pixel spacing and attribution where the later source names none.
    Where no source names a patient, a DICOM film's own pseudonym does.
    """
    found: dict[bytes, Entry] = {}
    for seen in sources:
        for film, picture in zip(seen.source.films, seen.pictures, strict=True):
            first, split = found.get(picture.greys), seen.source.split
            if first is not None:
                _tell_replacement(first, seen)
                film = _inherit(film, first.film)
                picture = replace(picture, patient=picture.patient or first.picture.patient)
                split = split or first.split
            found[picture.greys] = Entry(film, picture, seen, split)
    entries = list(found.values())
    ids = numbered(entry.record.image_id for entry in entries)
    patients = _patients_of(entries)
    return [
        replace(
            entry,
            film=replace(entry.film, record=replace(entry.record, image_id=key, patient=patient)),
        )
        for entry, key, patient in zip(entries, ids, patients, strict=True)
    ]


def _patients_of(entries: Sequence[Entry]) -> list[str]:
    """Patients by name, or as another film with the same pseudonym names them, or by that."""
    named = [(entry.picture.patient, entry.record.patient) for entry in entries]
    names = {own: name for own, name in named if own and name}
    return [
        entry.record.patient or names.get(entry.picture.patient, entry.picture.patient)
        for entry in entries
    ]


def numbered(wanted: Iterable[int | None]) -> list[int]:
    """Each id for the first who wants it; for the others the lowest that nobody wants."""
    given = list(wanted)
    wishes, used, ids = set(given), set[int](), list[int]()
    free = (key for key in count(1) if key not in wishes)
    for key in given:
        ids.append(next(free) if key is None or key in used else key)
        used.add(ids[-1])
    return ids


def remarks(
    sources: Sequence[Seen], entries: Sequence[Entry], ids: dict[str, int]
) -> Iterator[str]:
    """What the result does not show by itself: a sentence each."""
    yield from _classes(sources, ids)
    for seen in sources:
        yield from seen.source.notes
    yield from _patients(sources)
    if not any(entry.record.patient for entry in entries):
        yield (
            "No film has a patient: each counts as one of its own, and films of one patient may "
            "come into several folds. 'patient_id' of the images in annotations.json says it."
        )
    splits = by_split(entries)
    if len(splits) > 1:
        yield from _splits(splits)
    turned = sum(entry.picture.is_turned for entry in entries)
    if turned:
        yield f"Films that have {TURNED_BY_VIEWERS}: {turned:,}."
    own = [entry.picture.patient for entry in entries]
    hashed = [one for one, entry in zip(own, entries, strict=True) if one == entry.record.patient]
    hashed = list(filter(None, hashed))
    if hashed:
        yield (
            f"Patients that no source names are told apart by a hash of the films' Patient ID: "
            f"{len(set(hashed)):,}, of {len(hashed):,} films. Who can try all ids finds them again."
        )
    dicom = sum(entry.picture.is_dicom for entry in entries)
    if dicom:
        yield f"{dicom:,} of the films are DICOM files, which carry the patient's identity."
    if any(seen.source.ledger.loses_objects for seen in sources):
        yield "Objects that were dropped from a film that stays count as background there."


def _classes(sources: Sequence[Seen], ids: dict[str, int]) -> Iterator[str]:
    for name, key in ids.items():
        for seen in sources:
            source = seen.source
            given = dict(zip(source.class_names, source.category_ids, strict=True))
            if name not in given:
                yield (
                    f"'{name}' is no class of {source.ledger.name}: where its films show one, it "
                    "counts as background."
                )
            elif given[name] != key:
                yield f"'{name}' is category {key}, which is {given[name]} in {source.ledger.name}."


def by_split(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """The films of each split, all under "" where there are not several.

    Films of sources without splits are trained on.
    """
    splits: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        splits[entry.split or "train"].append(entry)
    return dict(splits) if len(splits) > 1 else {"": list(entries)}


def _splits(splits: dict[str, list[Entry]]) -> Iterator[str]:
    counts = ", ".join(f"{name} {len(entries):,}" for name, entries in splits.items())
    yield f"Films by split, each a data set in the folder of its name: {counts}."
    patients = [{entry.record.patient for entry in entries} - {""} for entries in splits.values()]
    torn = sum(found > 1 for found in Counter(chain.from_iterable(patients)).values())
    if torn:
        yield f"Patients with films in several splits: {torn:,}. What is measured on them flatters."


def _patients(sources: Sequence[Seen]) -> Iterator[str]:
    named = [{film.record.patient for film in seen.source.films} - {""} for seen in sources]
    shared = sum(found > 1 for found in Counter(chain.from_iterable(named)).values())
    if shared:
        yield f"Patient ids in several sources: {shared:,}. Each is taken for one patient."
    names: defaultdict[bytes, set[str]] = defaultdict(set)
    for seen in sources:
        for film, picture in zip(seen.source.films, seen.pictures, strict=True):
            names[picture.greys] |= {film.record.patient} - {""}
    torn = sum(len(found) > 1 for found in names.values())
    if torn:
        yield (
            f"Films with several patient ids: {torn:,}. The last one counts, so that another film "
            "of the patient may come into another fold."
        )


def _tell_replacement(first: Entry, later: Seen) -> None:
    name = later.source.ledger.name
    where = "comes again, and the last" if first.seen is later else f"is in {name} too, which"
    first.seen.source.ledger.drop(
        f"the same film {where} counts", films=1, instances=len(first.record.annotations)
    )


def _inherit(later: Film, first: Film) -> Film:
    record = replace(
        later.record,
        image_id=first.record.image_id,
        patient=later.record.patient or first.record.patient,
        spacing_mm=later.record.spacing_mm or first.record.spacing_mm,
    )
    return replace(later, record=record, attribution=first.attribution | later.attribution)
