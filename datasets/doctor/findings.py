"""Data set statistics that no network is needed for: categories, outlines, negatives, patients."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from model.data.coco import CROWDS, CocoDataset, ImageRecord
from model.data.coco_entries import UNNAMED
from model.data.orientation import TURNED_BY_VIEWERS, orientation
from model.data.sides import find_sides

_NAMED = 8  # ids in a sentence; the rest is counted


@dataclass(frozen=True)
class Finding:
    """One finding: a sentence, and the images that it is about.

    Attributes:
        sentence: what is the case, and what follows from it.
        image_ids: in the order of the data set, each once.
    """

    sentence: str
    image_ids: tuple[int, ...] = ()

    def __str__(self) -> str:
        if not self.image_ids:
            return self.sentence
        named = ", ".join(map(str, self.image_ids[:_NAMED]))
        more = len(self.image_ids) - _NAMED
        return f"{self.sentence} Images {named}" + (f" and {more} more." if more > 0 else ".")


def counted(number: int, one: str, many: str = "") -> str:
    """A number of things in words: "1 film", "2 films"."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def examine(data: CocoDataset) -> list[Finding]:
    """Examines categories, outlines, negatives and patients of one data set."""
    return [
        *_categories(data),
        *_sides(data),
        *_outlines(data),
        *_turned(data),
        *_patients(data),
        *_twins(data, data),
    ]


def compare(data: CocoDataset, other: CocoDataset) -> list[Finding]:
    """Leakage between two splits: what they share and must not."""
    findings = list(_twins(data, other))
    shared = _named_patients(data) & _named_patients(other)
    if shared:
        ids = _ids(record for record in data.images if record.patient in shared)
        findings.append(
            Finding(
                f"Both data sets have {counted(len(shared), 'patient')} in common: what is "
                "measured on the other is too good.",
                ids,
            )
        )
    if data.class_names != other.class_names or data.category_ids != other.category_ids:
        findings.append(
            Finding(
                "The two data sets have other categories: "
                f"{_listed(data)} here, {_listed(other)} there."
            )
        )
    return findings


def _categories(data: CocoDataset) -> Iterator[Finding]:
    ids = data.category_ids
    if sorted(ids) != list(range(1, len(ids) + 1)):
        yield Finding(
            f"The category ids {', '.join(map(str, ids))} are not 1 to {len(ids)}. That works: "
            "labels count from 0 in this order, and answers have your ids again."
        )
    counts = Counter(a.label for r in data.images for a in r.annotations if not a.is_crowd)
    for label, name in enumerate(data.class_names):
        if name in data.crowds_alone:
            yield Finding(f"Every '{name}' is a crowd: the network cannot learn it.")
        elif not counts[label]:
            yield Finding(f"No object is a '{name}': the network cannot learn it.")
    if counts and max(counts.values()) > 100 * min(counts.values()):
        rare = data.class_names[min(counts, key=counts.__getitem__)]
        yield Finding(
            f"'{rare}' has {counted(min(counts.values()), 'object')}, the most frequent class "
            f"{max(counts.values())}: expect little of the rare one. "
            "augmentation.repeat_threshold shows films of rare classes more often."
        )


def _sides(data: CocoDataset) -> Iterator[Finding]:
    sides = find_sides(data.class_names)
    told = sides.describe()
    if told:
        kept = [record for record in data.images if not sides.may_mirror(record)]
        yield Finding(
            "Classes have sides, and training mirrors films. " + " ".join(told), _ids(kept)
        )


def _outlines(data: CocoDataset) -> Iterator[Finding]:
    outside = [record for record in data.images if _reaches_out(record)]
    if outside:
        yield Finding("Polygons reach out of the image and are cut at its edge.", _ids(outside))
    crowds = [record for record in data.images if any(a.is_crowd for a in record.annotations)]
    if crowds:
        yield Finding(CROWDS, _ids(crowds))
    relative = [record for record in data.images if any(a.is_relative for a in record.annotations)]
    if relative:
        yield Finding(
            "Outlines lie between 0 and 1, as YOLO's parts of the width and height do; COCO's are "
            "in pixels.",
            _ids(relative),
        )
    empty = [record for record in data.images if not record.annotations]
    if empty:
        yield Finding(
            f"Of {counted(len(data.images), 'image')}, {len(empty)} without an object: kept as "
            "negatives.",
            _ids(empty),
        )


def _reaches_out(record: ImageRecord) -> bool:
    extent = np.array([record.width, record.height])
    return any(
        (ring < -0.5).any() or (ring > extent + 0.5).any()  # half a pixel is rounding
        for annotation in record.annotations
        for ring in annotation.polygons
    )


def _turned(data: CocoDataset) -> Iterator[Finding]:
    turned = [record for record in data.images if orientation(record.path.read_bytes()) != 1]
    if turned:
        first = turned[0].path.name
        yield Finding(
            f"{counted(len(turned), 'film')}, {first} first, with {TURNED_BY_VIEWERS}.",
            _ids(turned),
        )


def _patients(data: CocoDataset) -> Iterator[Finding]:
    patients = {record.patient for record in data.images}
    unnamed = [record for record in data.images if record.patient.startswith(UNNAMED)]
    if unnamed:
        yield Finding(
            f"{counted(len(unnamed), 'image')} without a patient ('patientid' or 'patient_id'), "
            "each taken for one of its own: --fold may put films of one patient on both sides.",
            _ids(unnamed),
        )
    if len(patients) == 1 and len(data.images) > 1:
        yield Finding(
            "All films are of one patient: they cannot be split, and nothing measured on them "
            "tells how another patient would fare."
        )


def _named_patients(data: CocoDataset) -> set[str]:
    patients = {record.patient for record in data.images}
    return {patient for patient in patients if not patient.startswith(UNNAMED)}


def _twins(data: CocoDataset, other: CocoDataset) -> Iterator[Finding]:
    """Files of the same bytes; within one data set only those of different patients matter."""
    by_digest: dict[str, list[ImageRecord]] = defaultdict(list)
    for record in other.images:
        by_digest[_digest(record)].append(record)
    twins = [
        record
        for record in data.images
        for twin in by_digest[_digest(record)]
        if other is not data or twin.patient != record.patient
    ]
    if not twins:
        return
    where = "in the other data set too" if other is not data else "stored under several patients"
    yield Finding(f"The same films are {where}: they will be trained and measured on.", _ids(twins))


def _digest(record: ImageRecord) -> str:
    return hashlib.sha256(record.path.read_bytes()).hexdigest()


def _ids(records: Iterable[ImageRecord]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(record.image_id for record in records))


def _listed(data: CocoDataset) -> str:
    return ", ".join(
        f"{key} {name}" for key, name in zip(data.category_ids, data.class_names, strict=True)
    )
